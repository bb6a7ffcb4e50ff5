#include "net/busy_poll.h"

#include <sched.h>

namespace samovar {

void BusyPoll::Run() {
  using Clock = std::chrono::steady_clock;
  std::uint64_t seen = calls_();
  Clock::time_point until = Clock::time_point::min();
  while (!loop_.stopped()) {
    const bool ran = loop_.poll() > 0;
    if (const std::uint64_t now = calls_(); now != seen) {
      seen = now;
      until = Clock::now() + kWindow;
    }
    if (ran) continue;
    if (Clock::now() < until) {
      sched_yield();
    } else if (loop_.run_one() == 0) {
      return;
    }
  }
}

}  // namespace samovar
