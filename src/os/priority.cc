#include "os/priority.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "os/fd.h"

namespace samovar {
namespace {

// As the kernel has it (linux/sched/types.h, which does not go with sched.h).
struct SchedAttr {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;
  std::uint64_t deadline;
  std::uint64_t period;
};

constexpr std::uint64_t kPrompt = 100'000;  // ns, the shortest slice that there is
constexpr std::uint64_t kTurns = 200'000;   // whoever runs promptly interrupts it

constexpr int kNicer = 3;  // half of the weight

constexpr std::chrono::microseconds kTurn{100};
constexpr std::chrono::microseconds kIdleTurn{500};

// For a processor: whether in the whole system more threads could run than there are processors.
// Takes 2 us.
bool SomebodyWaits() {
  const Fd file(::open("/proc/loadavg", O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};  // "0.20 0.18 0.12 3/80 11206"
  if (!file || ::read(file.Get(), text.data(), text.size() - 1) <= 0) return false;
  std::string_view rest(text.data());
  for (int i = 0; i < 3; ++i) rest.remove_prefix(std::min(rest.size(), rest.find(' ') + 1));
  long running = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), running);
  return running > ::sysconf(_SC_NPROCESSORS_ONLN);
}

void SetSlice(std::uint32_t policy, std::uint64_t slice) {
  SchedAttr attr{};
  attr.size = sizeof(attr);
  attr.policy = policy;
  attr.nice = ::getpriority(PRIO_PROCESS, 0);
  attr.runtime = slice;
  ::syscall(SYS_sched_setattr, 0, &attr, 0);
}

}  // namespace

void RunWhenIdle() {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_IDLE, &none);
}

void RunPromptly() { SetSlice(SCHED_OTHER, kPrompt); }

// What a yield gives up is the rest of the slice, so that a longer one would cost this thread its
// share of the processor. Its own waking interrupts nobody (SCHED_BATCH).
void RunInTurns() { SetSlice(SCHED_BATCH, kTurns); }

void RunAtAShare() {
  ::setpriority(PRIO_PROCESS, 0, kNicer);  // of a thread, whatever the name says
  RunInTurns();
}

std::chrono::nanoseconds ProcessorTime(std::thread& thread) {
  clockid_t clock{};
  timespec time{};
  if (::pthread_getcpuclockid(thread.native_handle(), &clock) != 0) return {};
  if (::clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Turn::Turn()
    : when_idle_(::sched_getscheduler(0) == SCHED_IDLE), length_(when_idle_ ? kIdleTurn : kTurn) {}

void Turn::Next() {
  if (!when_idle_) {
    ::sched_yield();
  } else if (SomebodyWaits()) {
    const timespec shortest{0, 1};
    ::nanosleep(&shortest, nullptr);
  }
  began_ = std::chrono::steady_clock::now();
}

}  // namespace samovar
