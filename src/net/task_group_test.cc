#include "net/task_group.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include "base/blocking.h"

namespace samovar {
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

Task<void> WaitForever(int& ended) {
  struct Count {
    int& n;
    ~Count() { ++n; }
  } count{ended};
  Timer never(co_await asio::this_coro::executor, Timer::time_point::max());
  co_await never.async_wait(asio::use_awaitable_t<Executor>());
}

Task<void> Set(bool& ran) {
  ran = true;
  co_return;
}

Task<void> Throw() {
  throw std::runtime_error("a bug in a task");
  co_return;
}

TEST(TaskGroup, StopEndsWhatRunsAndWaitsForIt) {
  asio::io_context loop;
  TaskGroup group(loop.get_executor());
  int ended = 0;
  group.Spawn(WaitForever(ended));
  group.Spawn(WaitForever(ended));
  loop.poll();
  EXPECT_EQ(group.Running(), 2u);
  auto stopped = asio::co_spawn(loop, group.Stop(), asio::use_future);
  loop.restart();
  loop.run();
  stopped.get();
  EXPECT_EQ(ended, 2);
  EXPECT_EQ(group.Running(), 0u);
}

Task<void> WorkAndWork(BlockingPool& pool, std::atomic<int>& done) {
  while (true) {
    co_await RunBlocking(pool, [&done] { return ++done; });
  }
}

// What is stopped while its work is on the pool waits for that, and nothing of it is touched after.
TEST(TaskGroup, StopWaitsForWorkOnAPool) {
  for (int round = 0; round < 500; ++round) {
    asio::io_context loop;
    BlockingPool pool(2);
    TaskGroup group(loop.get_executor());
    std::atomic<int> done = 0;
    for (int i = 0; i < 8; ++i) group.Spawn(WorkAndWork(pool, done));
    loop.run_for(std::chrono::microseconds(200));
    auto stopped = asio::co_spawn(loop, group.Stop(), asio::use_future);
    loop.restart();
    loop.run();
    stopped.get();
    EXPECT_EQ(group.Running(), 0u);
    pool.join();
  }
}

TEST(TaskGroup, SpawnAfterStopDoesNothing) {
  asio::io_context loop;
  TaskGroup group(loop.get_executor());
  asio::co_spawn(loop, group.Stop(), asio::use_future);
  loop.run();
  bool ran = false;
  group.Spawn(Set(ran));
  loop.restart();
  loop.run();
  EXPECT_FALSE(ran);
}

TEST(TaskGroup, ATaskThatThrowsEndsAlone) {
  asio::io_context loop;
  TaskGroup group(loop.get_executor());
  bool ran = false;
  group.Spawn(Throw());
  group.Spawn(Set(ran));
  loop.run();
  EXPECT_TRUE(ran);
  EXPECT_EQ(group.Running(), 0u);
}

}  // namespace
}  // namespace samovar
