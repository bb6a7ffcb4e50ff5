#include "models/run_timer.h"

#include <signal.h>
#include <time.h>

#include <atomic>

namespace samovar {
namespace {

using std::chrono::nanoseconds;

// A signal handler has no other way to its data.
std::atomic<OnnxModel*> running_model = nullptr;
std::atomic<std::int64_t> run_deadline = 0;  // ns of the wall clock; 0: no run
std::atomic<std::int64_t> armed_for = 0;     // 0: not armed
timer_t timer_id;

std::int64_t WallNow() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
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
  if (WallNow() >= deadline) {
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
  CHECK(::timer_create(CLOCK_REALTIME, &event, &timer_id) == 0);
}

RunTimer::~RunTimer() {
  running_model = nullptr;
  ::timer_delete(timer_id);
}

void RunTimer::Begin(std::chrono::system_clock::time_point deadline) {
  const std::int64_t when =
      std::chrono::duration_cast<nanoseconds>(deadline.time_since_epoch()).count();
  run_deadline = when;
  const std::int64_t armed = armed_for;
  if (armed == 0 || when < armed) Arm(when);
}

void RunTimer::End() { run_deadline = 0; }

}  // namespace samovar
