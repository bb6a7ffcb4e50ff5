// How a server stops: what runs, what idles, what streams without end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>

#include "net/http_server.h"
#include "net/server_thread.h"

namespace samovar {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

constexpr auto kAwait = asio::use_awaitable_t<Executor>();
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

// A handler that waits until the test lets it go.
struct Gate {
  std::promise<void> entered;
  std::unique_ptr<Timer> timer;
  Task<HttpResponse> Handle(HttpRequest) {
    timer = std::make_unique<Timer>(co_await asio::this_coro::executor, SteadyTime::max());
    entered.set_value();
    boost::system::error_code ignored;
    co_await timer->async_wait(asio::redirect_error(kAwait, ignored));
    timer.reset();
    HttpResponse response;
    response.body = "done";
    co_return response;
  }
};

TEST(HttpServerStop, LetsARunningExchangeFinish) {
  SystemClock clock;
  Gate gate;
  ServerThread server(clock, [&](HttpRequest r) { return gate.Handle(std::move(r)); });
  RawClient idle(server.Port());
  RawClient busy(server.Port());
  busy.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  gate.entered.get_future().wait();
  auto stop = std::async(std::launch::async, [&] { server.Stop(std::chrono::seconds(20)); });
  EXPECT_EQ(idle.ReadToEnd(), "");  // an idle one is closed at once
  asio::post(server.Loop(), [&] { gate.timer->cancel(); });
  auto reply = busy.ReadToEnd();
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(reply, EndsWith("done"));
  stop.get();
  EXPECT_FALSE(RawClient(server.Port()).Connected());
}

TEST(HttpServerStop, EndsAnEndlessStreamAtOnceAndWell) {
  SystemClock clock;
  ServerThread server(clock, [](HttpRequest) -> Task<HttpResponse> {
    HttpResponse response;
    response.endless = true;
    auto begun = std::make_shared<bool>(false);
    response.stream = [begun]() -> Task<Result<std::optional<std::string>>> {
      if (!std::exchange(*begun, true)) co_return "first";
      Timer never(co_await asio::this_coro::executor, SteadyTime::max());
      co_await never.async_wait(kAwait);
      co_return std::nullopt;
    };
    co_return response;
  });
  RawClient client(server.Port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("first\r\n");
  server.Stop(std::chrono::hours(1));
  EXPECT_EQ(client.ReadToEnd(), "0\r\n\r\n");
}

TEST(HttpServerStop, CutsWhatRunsPastTheDeadline) {
  SystemClock clock;
  Gate gate;
  ServerThread server(clock, [&](HttpRequest r) { return gate.Handle(std::move(r)); });
  RawClient busy(server.Port());
  busy.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  gate.entered.get_future().wait();
  server.Stop(std::chrono::milliseconds(1));
  EXPECT_EQ(busy.ReadToEnd(), "");
}

}  // namespace
}  // namespace samovar
