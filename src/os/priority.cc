#include "os/priority.h"

#include <sched.h>

namespace samovar {

void RunWhenIdle() {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_IDLE, &none);
}

}  // namespace samovar
