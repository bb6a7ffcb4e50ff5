#include "os/priority.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

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

void Turn::Next() {
  ::sched_yield();
  began_ = std::chrono::steady_clock::now();
}

}  // namespace samovar
