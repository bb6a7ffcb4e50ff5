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

}  // namespace

void RunWhenIdle() {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_IDLE, &none);
}

void RunPromptly() {
  SchedAttr attr{};
  attr.size = sizeof(attr);
  attr.policy = SCHED_OTHER;
  attr.nice = ::getpriority(PRIO_PROCESS, 0);
  attr.runtime = 100'000;  // ns: a slice, the shortest that there is
  ::syscall(SYS_sched_setattr, 0, &attr, 0);
}

}  // namespace samovar
