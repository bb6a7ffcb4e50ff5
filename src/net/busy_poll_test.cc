#include "net/busy_poll.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>

namespace samovar {
namespace {

namespace asio = boost::asio;

TEST(BusyPollTest, RunsWhatIsReadyWhatWaitsAndWhatComesFromElsewhereThenEnds) {
  asio::io_context loop;
  std::uint64_t calls = 0;
  int ran = 0;
  auto call = [&] { ++calls, ++ran; };
  asio::post(loop, call);
  asio::steady_timer soon(loop, BusyPoll::kWindow / 10);
  asio::steady_timer late(loop, BusyPoll::kWindow * 50);
  std::thread elsewhere;
  soon.async_wait([&](auto) { call(); });
  late.async_wait([&](auto) {
    call();
    elsewhere = std::thread([&, work = asio::make_work_guard(loop)] { asio::post(loop, call); });
  });
  BusyPoll(loop, [&] { return calls; }).Run();
  elsewhere.join();
  EXPECT_EQ(ran, 4);
}

TEST(BusyPollTest, EndsWhenTheLoopIsStoppedWhileItLooks) {
  asio::io_context loop;
  auto work = asio::make_work_guard(loop);
  std::uint64_t looks = 0;
  asio::post(loop, [] {});
  BusyPoll(loop, [&] {
    if (++looks == 50) loop.stop();
    return looks;  // as if a call came at each look: it would never sleep
  }).Run();
  EXPECT_EQ(looks, 50u);
}

TEST(BusyPollTest, SleepsWhileThereAreNoCalls) {
  asio::io_context loop;
  std::uint64_t looks = 0;
  asio::steady_timer late(loop, BusyPoll::kWindow * 100);
  late.async_wait([](auto) {});
  BusyPoll(loop, [&] { return ++looks, 0u; }).Run();
  EXPECT_LT(looks, 10u);
}

}  // namespace
}  // namespace samovar
