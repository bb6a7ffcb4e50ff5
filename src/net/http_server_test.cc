#include "net/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>

#include "net/server_thread.h"

namespace samovar {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr auto kAwait = asio::use_awaitable_t<Executor>();
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

// Answers the request's own head line, a header of it, and its body.
Task<HttpResponse> Mirror(HttpRequest request) {
  HttpResponse response;
  std::string line = request.method + " " + request.target + " " +
                     std::string(request.headers.Get("x-test")) + "|";
  auto body = co_await request.body->ReadAll(Bytes::KiB(600));
  if (!body) {
    response.status = body.error().code == Code::kTooLarge ? 413 : 400;
    response.body = body.error().message;
    co_return response;
  }
  response.headers.Add("Content-Type", "text/plain");
  response.body = line + *body + "|" + std::string(request.body->Trailers().Get("x-trailer"));
  co_return response;
}

struct WireCase {
  const char* name;
  std::string sent;
  std::vector<std::string> holds;
  std::string lacks = "\x01";
};

class HttpServerWire : public testing::TestWithParam<WireCase> {};

TEST_P(HttpServerWire, AnswersAsTheWireWants) {
  SystemClock clock;
  ServerThread server(clock, Mirror);
  RawClient client(server.Port());
  client.Send(GetParam().sent);
  std::string reply = client.ReadToEnd();
  for (auto& part : GetParam().holds) EXPECT_THAT(reply, HasSubstr(part));
  EXPECT_THAT(reply, Not(HasSubstr(GetParam().lacks)));
}

INSTANTIATE_TEST_SUITE_P(
    All, HttpServerWire,
    testing::Values(
        WireCase{"Get",
                 "GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Test: v\r\nConnection: close\r\n\r\n",
                 {"HTTP/1.1 200 OK\r\n", "\r\nDate: ", "Content-Length: 14\r\n",
                  "Connection: close\r\n", "GET /a?b=c v||"}},
        WireCase{
            "PostWithLength",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            {"POST / |hello|"}},
        WireCase{"ChunkedWithTrailer",
                 "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                 "Connection: close\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n",
                 {"POST / |abcde|t"}},
        WireCase{"Head",
                 "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                 {"Content-Length: 9\r\n"},
                 "HEAD / ||"},
        WireCase{"Http10Closes", "GET / HTTP/1.0\r\n\r\n", {"GET / ||"}, "Connection: keep-alive"},
        WireCase{
            "PipelinedAreAnsweredInOrder",
            "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            {"GET /1 ||HTTP/1.1 200", "POST /2 |hi|HTTP/1.1 200", "GET /3 ||"}},
        WireCase{"MalformedHead",
                 "nonsense\r\n\r\n",
                 {"HTTP/1.1 400 Bad Request\r\n", "Connection: close\r\n"}},
        WireCase{"LengthAndChunkedTogether",
                 "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 {"HTTP/1.1 400 "}},
        WireCase{"HeadOver64KiB",
                 "GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + std::string(70'000, 'a') + "\r\n\r\n",
                 {"HTTP/1.1 431 "}},
        WireCase{"BodyOverTheHandlersBound",
                 "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\n\r\n",
                 {"HTTP/1.1 413 ", "Connection: close\r\n"}},
        WireCase{"MalformedChunk",
                 "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 {"HTTP/1.1 400 ", "malformed", "Connection: close\r\n"}}),
    [](auto& info) { return info.param.name; });

// The congestion control of this process's socket whose other end is `peer` ("127.0.0.1:PORT").
std::string CongestionControlTo(const std::string& peer) {
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) continue;
    if (address.sin_family != AF_INET ||
        !peer.ends_with(":" + std::to_string(ntohs(address.sin_port)))) {
      continue;
    }
    std::array<char, 16> name{};
    size = name.size();
    if (::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) == 0) return name.data();
  }
  return "no such socket";
}

TEST(HttpServer, DoesNotPaceWhatItSendsToThisHost) {
  SystemClock clock;
  ServerThread server(clock, [](HttpRequest request) -> Task<HttpResponse> {
    HttpResponse response;
    response.body = CongestionControlTo(request.peer);
    co_return response;
  });
  RawClient client(server.Port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(), EndsWith("\r\n\r\nreno"));
}

TEST(HttpServer, SendsContinueOnlyWhenTheHandlerReads) {
  SystemClock clock;
  ServerThread server(clock, Mirror);
  RawClient client(server.Port());
  client.Send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  // The next request right behind the body must not be taken for a part of it.
  client.Send("twenty bytes of bodyGET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("|HTTP"), EndsWith("PUT / |twenty bytes of body|HTTP"));
  EXPECT_THAT(client.ReadToEnd(), EndsWith("GET /next ||"));
}

TEST(HttpServer, RefusesAnExpectedBodyWithoutReadingIt) {
  SystemClock clock;
  ServerThread server(clock, [](HttpRequest) -> Task<HttpResponse> {
    HttpResponse response;
    response.status = 403;
    co_return response;
  });
  RawClient client(server.Port());
  client.Send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  auto head = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(head, HasSubstr("Connection: close\r\n"));
}

TEST(HttpServer, DrainsASmallUnreadBodyAndGoesOn) {
  SystemClock clock;
  ServerThread server(clock, [](HttpRequest request) -> Task<HttpResponse> {
    HttpResponse response;
    response.body = request.target + ".";
    co_return response;
  });
  RawClient client(server.Port());
  client.Send("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
  client.Send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("/1."), Not(HasSubstr("close")));
  EXPECT_THAT(client.ReadUntil("/2."), HasSubstr("200 OK"));
}

TEST(HttpServer, DropsFieldsThatWouldSplitTheHead) {
  SystemClock clock;
  ServerThread server(clock, [](HttpRequest) -> Task<HttpResponse> {
    HttpResponse response;
    response.headers.Add("X-Good", "1");
    response.headers.Add("X-Bad", "1\r\nX-Injected: 1");
    response.headers.Add("X Bad", "1");
    response.headers.Add("Content-Length", "999");
    co_return response;
  });
  auto reply = server.Client().Call({});
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->headers.Get("x-good"), "1");
  EXPECT_FALSE(reply->headers.Has("x-bad"));
  EXPECT_FALSE(reply->headers.Has("x-injected"));
  EXPECT_EQ(reply->headers.Get("content-length"), "0");
}

TEST(HttpServer, AnswersAThrowingHandlerWith500) {
  SystemClock clock;
  ServerThread server(clock, [](HttpRequest) -> Task<HttpResponse> {
    throw std::runtime_error("a bug");
    co_return HttpResponse();
  });
  auto reply = server.Client().Call({});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 500u);
}

TEST(HttpServer, ReadsALargeBodyPieceByPiece) {
  SystemClock clock;
  std::atomic<std::size_t> pieces = 0;
  ServerThread server(clock, [&](HttpRequest request) -> Task<HttpResponse> {
    HttpResponse response;
    std::size_t size = 0;
    while (true) {
      auto piece = co_await request.body->ReadSome();
      if (!piece || !*piece) break;
      EXPECT_LE((*piece)->size(), 256u << 10);
      size += (*piece)->size();
      ++pieces;
    }
    response.body = std::to_string(size);
    co_return response;
  });
  HttpCall call;
  call.method = "PUT";
  call.body = std::string(5'000'000, 'x');
  auto reply = server.Client().Call(std::move(call));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "5000000");
  EXPECT_GT(pieces, 10u);
}

TEST(HttpServer, StreamsPiecesAsTheyCome) {
  SystemClock clock;
  ServerThread server(clock, [](HttpRequest) -> Task<HttpResponse> {
    HttpResponse response;
    auto left = std::make_shared<int>(3);
    response.stream = [left]() -> Task<Result<std::optional<std::string>>> {
      if (*left == 0) co_return std::nullopt;
      co_return "piece" + std::to_string((*left)--);
    };
    co_return response;
  });
  RawClient client(server.Port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  auto reply = client.ReadUntil("0\r\n\r\n");
  EXPECT_THAT(reply, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(reply, HasSubstr("6\r\npiece3\r\n6\r\npiece2\r\n6\r\npiece1\r\n0\r\n\r\n"));
  client.Send("GET / HTTP/1.0\r\n\r\n");  // no chunks there: the end is the close
  EXPECT_THAT(client.ReadToEnd(), EndsWith("piece3piece2piece1"));
}

TEST(HttpServer, BreaksAFailedStreamOff) {
  SystemClock clock;
  ServerThread server(clock, [](HttpRequest) -> Task<HttpResponse> {
    HttpResponse response;
    auto first = std::make_shared<bool>(true);
    response.stream = [first]() -> Task<Result<std::optional<std::string>>> {
      if (std::exchange(*first, false)) co_return "some";
      co_return Fail(Code::kInternal, "it failed");
    };
    co_return response;
  });
  auto reply = server.Client().Call({});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
}

TEST(HttpServer, EndsTheStreamWhenTheClientGoesAway) {
  SystemClock clock;
  std::promise<void> ended;
  ServerThread server(clock, [&](HttpRequest) -> Task<HttpResponse> {
    struct Notice {
      std::promise<void>& promise;
      ~Notice() { promise.set_value(); }
    };
    HttpResponse response;
    auto notice = std::make_shared<Notice>(ended);
    auto begun = std::make_shared<bool>(false);
    response.stream = [notice, begun]() -> Task<Result<std::optional<std::string>>> {
      if (!std::exchange(*begun, true)) co_return "first";
      Timer never(co_await asio::this_coro::executor, SteadyTime::max());
      co_await never.async_wait(kAwait);
      co_return std::nullopt;
    };
    co_return response;
  });
  RawClient client(server.Port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("first");
  client.Close();
  EXPECT_EQ(ended.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST(HttpServer, CutsWhoStandsStill) {
  FakeClock clock;
  HttpServerOptions options;
  options.tick = std::chrono::milliseconds(5);
  std::promise<void> reading;
  ServerThread server(
      clock,
      [&](HttpRequest request) -> Task<HttpResponse> {
        if (request.method == "PUT") reading.set_value();
        return Mirror(std::move(request));
      },
      options);
  RawClient idle(server.Port());
  idle.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  idle.ReadUntil("||");
  RawClient half(server.Port());  // a body that never comes
  half.Send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
  reading.get_future().wait();
  // On the loop, so that the fake clock is used by one thread; and after both began to wait.
  asio::post(server.Loop(), [&] { clock.Advance(options.idle_timeout); });
  EXPECT_EQ(idle.ReadToEnd(), "");
  EXPECT_EQ(half.ReadToEnd(), "");
}

TEST(HttpServer, ClosesConnectionsBeyondItsBound) {
  SystemClock clock;
  HttpServerOptions options;
  options.max_connections = 1;
  ServerThread server(clock, Mirror, options);
  RawClient first(server.Port());
  first.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  first.ReadUntil("||");
  RawClient second(server.Port());
  EXPECT_EQ(second.ReadToEnd(), "");
  first.Send("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(first.ReadUntil("||"), HasSubstr("/again"));
}

TEST(HttpServer, RefusesATakenPort) {
  SystemClock clock;
  ServerThread server(clock, Mirror);
  asio::io_context loop;
  HttpServer second(loop.get_executor(), clock, {}, Mirror);
  auto port = second.Listen("127.0.0.1", server.Port());
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, Code::kConflict);
  EXPECT_EQ(second.Listen("not-an-address", 0).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace samovar
