#pragma once
// RunBlocking: does CPU work or waits for a disk on a pool thread and comes back to the loop.
// Errors   The function's own Result. An exception ends the process: nothing below throws.
// Cancel   Whoever waits is asked to end only after the work is done: Asio hands a cancellation to
//          the pool by a plain pointer into the operation, which may be over by then.

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/task.h"

namespace samovar {

using BlockingPool = asio::thread_pool;

// co_await RunBlocking(pool, [..] { return SlowThing(); });
template <class F>
auto RunBlocking(BlockingPool& pool, F work) -> Task<decltype(work())> {
  using T = decltype(work());
  auto task = [](F run) -> asio::awaitable<T> { co_return run(); };
  co_return co_await asio::co_spawn(
      pool, task(std::move(work)),
      asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable_t<Executor>()));
}

}  // namespace samovar
