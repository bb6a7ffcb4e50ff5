#include "models/run_timer.h"

#include <signal.h>
#include <time.h>

#include <atomic>

namespace samovar {
namespace {

using std::chrono::steady_clock;

// A signal handler has no other way to its data.
std::atomic<OnnxModel*> running_model = nullptr;
std::atomic<std::int64_t> run_deadline = 0;  // ns of the steady clock; 0: no run
std::atomic<std::int64_t> armed_for = 0;     // 0: not armed
timer_t timer_id;

std::int64_t Nanoseconds(steady_clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

void Arm(std::int64_t when) {
  armed_for = when;
  itimerspec spec{};
  spec.it_value = {when / 1'000'000'000, when % 1'000'000'000};
  ::timer_settime(timer_id, TIMER_ABSTIME, &spec, nullptr);
}

void OnAlarm(int) {
  armed_for = 0;
  const std::int64_t deadline = run_deadline;
  if (deadline == 0) return;
  if (Nanoseconds(steady_clock::now()) >= deadline) {
    if (OnnxModel* model = running_model) model->Interrupt();
  } else {
    Arm(deadline);
  }
}

}  // namespace

RunTimer::RunTimer(OnnxModel& model) {
  running_model = &model;
  struct sigaction action{};
  action.sa_handler = OnAlarm;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  CHECK(::timer_create(CLOCK_MONOTONIC, &event, &timer_id) == 0);
}

RunTimer::~RunTimer() {
  running_model = nullptr;
  ::timer_delete(timer_id);
}

void RunTimer::Begin(steady_clock::time_point deadline) {
  const std::int64_t when = Nanoseconds(deadline);
  run_deadline = when;
  const std::int64_t armed = armed_for;
  if (armed == 0 || when < armed) Arm(when);
}

void RunTimer::End() {
  run_deadline = 0;
  // An alarm between the end of the run and here would end the next one.
  if (OnnxModel* model = running_model) model->Resume();
}

}  // namespace samovar
