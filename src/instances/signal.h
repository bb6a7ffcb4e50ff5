#pragma once
// Signal: lets coroutines wait until something changed; whoever waits looks again by itself.
// Errors   None. A wait whose coroutine was asked to end throws, as any co_await there.
// Threads  The event loop only.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "base/task.h"

namespace samovar {

class Signal {
 public:
  explicit Signal(const Executor& loop) : timer_(loop, Timer::time_point::max()) {}

  // while (!condition) co_await signal.Wait();
  Task<void> Wait() {
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
  }
  void Notify() { timer_.cancel(); }

 private:
  using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>, Executor>;
  Timer timer_;  // never fires; cancelled to wake
};

}  // namespace samovar
