#include "instances/runtime_api_worker.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "instances/loop_test.h"

namespace samovar {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Bytes kBound = Bytes::KiB(64);
constexpr WallTime kDeadline{std::chrono::milliseconds(1'800'000'000'500)};
constexpr std::string_view kBase = "/2018-06-01/runtime/";

// A runtime's connection, as raw as it comes.
class Client {
 public:
  Client(const Executor& loop, std::uint16_t port) : socket_(loop) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
  }
  Task<void> Send(std::string text) {
    co_await asio::async_write(socket_, asio::buffer(text), kTuple);
  }
  // One whole response with a Content-Length.
  Task<std::string> Receive() {
    while (!Whole()) {
      char piece[4096];
      auto [error, n] = co_await socket_.async_read_some(asio::buffer(piece), kTuple);
      if (error) co_return text_ + "<closed>";
      text_.append(piece, n);
    }
    co_return std::exchange(text_, {});
  }
  Task<std::string> Get(std::string path) {
    co_await Send("GET " + std::string(kBase) + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    co_return co_await Receive();
  }
  Task<std::string> Post(std::string path, std::string body, std::string headers = "") {
    co_await Send("POST " + std::string(kBase) + path + " HTTP/1.1\r\nHost: x\r\n" + headers +
                  "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    co_return co_await Receive();
  }

 private:
  static constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());

  bool Whole() const {
    auto head = text_.find("\r\n\r\n");
    auto field = text_.find("Content-Length: ");
    if (head == std::string::npos || field == std::string::npos) return false;
    return text_.size() >= head + 4 + std::stoul(text_.substr(field + 16));
  }

  asio::basic_stream_socket<asio::ip::tcp, Executor> socket_;
  std::string text_;
};

class RuntimeApiWorkerTest : public LoopTest {
 protected:
  RuntimeApiWorkerTest() {
    Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    CHECK(::bind(listener.Get(), any, sizeof address) == 0 && ::listen(listener.Get(), 16) == 0);
    socklen_t size = sizeof address;
    CHECK(::getsockname(listener.Get(), any, &size) == 0);
    port_ = ntohs(address.sin_port);
    worker_ = std::make_unique<RuntimeApiWorker>(Loop(), real_clock_, std::move(listener), kBound);
    call_.request_id = "id-1";
    call_.invoked_arn = "arn:f";
    call_.payload = "{\"event\":1}";
    call_.trace_id = "Root=1-5";
  }

  Client Connect() { return {Loop(), port_}; }
  std::shared_ptr<std::optional<WorkerReply>> Offer(ResponseSink* sink = nullptr) {
    call_.payload = "{\"event\":1}";
    return Beside(worker_->Invoke(call_, kDeadline, sink));
  }
  Task<WorkerReply> Done(std::shared_ptr<std::optional<WorkerReply>> reply) {
    CHECK(co_await Until([&] { return reply->has_value(); }));
    co_return **reply;
  }
  void RunWith(std::function<Task<void>()> body) {
    Run([&]() -> Task<void> {
      co_await body();
      co_await worker_->Stop();
    });
  }

  SystemClock real_clock_;
  std::uint16_t port_ = 0;
  Invocation call_;
  std::unique_ptr<RuntimeApiWorker> worker_;
};

TEST_F(RuntimeApiWorkerTest, HoldsNextUntilThereIsAnEventAndTakesItsAnswer) {
  RunWith([&]() -> Task<void> {
    Client client = Connect();
    auto init = Beside(worker_->Init());
    auto next = Beside(client.Get("invocation/next"));
    EXPECT_EQ((co_await Done(init)).ending, Ending::kAnswered);
    EXPECT_FALSE(next->has_value());
    const auto room = std::make_shared<int>();  // taken for the event, until the runtime has it
    call_.room = room;
    auto reply = Offer();
    CHECK(co_await Until([&] { return next->has_value(); }));
    EXPECT_EQ(room.use_count(), 1);
    std::string event = **next;
    EXPECT_THAT(event, HasSubstr("HTTP/1.1 200 "));
    EXPECT_THAT(event, HasSubstr("Lambda-Runtime-Aws-Request-Id: id-1\r\n"));
    EXPECT_THAT(event, HasSubstr("Lambda-Runtime-Deadline-Ms: 1800000000500\r\n"));
    EXPECT_THAT(event, HasSubstr("Lambda-Runtime-Invoked-Function-Arn: arn:f\r\n"));
    EXPECT_THAT(event, HasSubstr("Lambda-Runtime-Trace-Id: Root=1-5\r\n"));
    EXPECT_THAT(event, Not(HasSubstr("Client-Context")));
    EXPECT_THAT(event, HasSubstr("\r\n\r\n{\"event\":1}"));
    auto accepted = co_await client.Post("invocation/id-1/response", "{\"answer\":1}");
    EXPECT_THAT(accepted, HasSubstr("HTTP/1.1 202 "));
    auto done = co_await Done(reply);
    EXPECT_EQ(done.ending, Ending::kAnswered);
    EXPECT_EQ(done.payload, "{\"answer\":1}");
    // The next event may be there before the runtime asks.
    reply = Offer();
    event = co_await client.Get("invocation/next");
    EXPECT_THAT(event, HasSubstr("{\"event\":1}"));
    (void)co_await client.Post("invocation/id-1/response", "2");
    EXPECT_EQ((co_await Done(reply)).payload, "2");
  });
}

TEST_F(RuntimeApiWorkerTest, RefusesWhatIsOutOfTurnAsTheRuntimeApiDoes) {
  RunWith([&]() -> Task<void> {
    Client client = Connect();
    auto wrong = co_await client.Post("invocation/id-1/response", "1");
    EXPECT_THAT(wrong, HasSubstr("HTTP/1.1 400 "));
    EXPECT_THAT(wrong, HasSubstr("InvalidRequestID"));
    auto reply = Offer();
    (void)co_await client.Get("invocation/next");
    struct Case {
      std::string path;
      std::string headers;
      std::string_view status;
      std::string_view type;
    };
    for (const Case& c : {
             Case{"invocation/other/response", "", "400", "InvalidRequestID"},
             Case{"invocation/other/error", "", "400", "InvalidRequestID"},
             Case{"invocation/id-1/response", "Lambda-Runtime-Function-Response-Mode: strange\r\n",
                  "400", "InvalidFunctionResponseMode"},
             Case{"init/error", "", "403", "InvalidStateTransition"},
             Case{"restore/error", "", "403", "InvalidStateTransition"},
             Case{"nowhere", "", "404", "NotFound"},
         }) {
      auto answer = co_await client.Post(c.path, "1", c.headers);
      EXPECT_THAT(answer, HasSubstr("HTTP/1.1 " + std::string(c.status) + " ")) << c.path;
      EXPECT_THAT(answer, HasSubstr(std::string(c.type))) << c.path;
    }
    auto again = co_await client.Get("invocation/next");
    EXPECT_THAT(again, HasSubstr("HTTP/1.1 403 "));
    EXPECT_FALSE(reply->has_value());
    (void)co_await client.Post("invocation/id-1/response", "1");
    EXPECT_EQ((co_await Done(reply)).payload, "1");
    auto twice = co_await client.Post("invocation/id-1/response", "1");
    EXPECT_THAT(twice, HasSubstr("HTTP/1.1 403 "));
  });
}

TEST_F(RuntimeApiWorkerTest, TakesErrorsOfFunctionAndInitialisation) {
  RunWith([&]() -> Task<void> {
    Client client = Connect();
    auto init = Beside(worker_->Init());
    auto accepted =
        co_await client.Post("init/error", "{\"errorMessage\":\"m\",\"errorType\":\"T\"}");
    EXPECT_THAT(accepted, HasSubstr("HTTP/1.1 202 "));
    auto failed = co_await Done(init);
    EXPECT_EQ(failed.ending, Ending::kFailed);
    EXPECT_EQ(failed.error_type, "T");
    auto reply = Offer();
    (void)co_await client.Get("invocation/next");
    (void)co_await client.Post("invocation/id-1/error", "{\"errorMessage\":\"x\"}",
                               "Lambda-Runtime-Function-Error-Type: Function.Bad\r\n");
    auto done = co_await Done(reply);
    EXPECT_EQ(done.ending, Ending::kFailed);
    EXPECT_EQ(done.error_type, "Function.Bad");
    EXPECT_EQ(done.payload, "{\"errorMessage\":\"x\"}");
    EXPECT_TRUE(done.usable);
  });
}

TEST_F(RuntimeApiWorkerTest, HoldsOneInitialisationErrorAtATime) {
  RunWith([&]() -> Task<void> {
    Client first = Connect();
    co_await first.Send("POST " + std::string(kBase) +
                        "init/error HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{");
    co_await Turns(50);
    Client second = Connect();
    EXPECT_THAT(co_await second.Post("init/error", "{}"), HasSubstr("HTTP/1.1 403 "));
    co_await first.Send("\"a\":1}");
    EXPECT_THAT(co_await first.Receive(), HasSubstr("HTTP/1.1 202 "));
    EXPECT_EQ((co_await Done(Beside(worker_->Init()))).payload, "{\"a\":1}");
  });
}

TEST_F(RuntimeApiWorkerTest, RefusesAnAnswerPastTheBoundAndGoesOn) {
  RunWith([&]() -> Task<void> {
    Client client = Connect();
    auto reply = Offer();
    (void)co_await client.Get("invocation/next");
    Client other = Connect();
    auto refused = co_await other.Post("invocation/id-1/response", std::string(70'000, 'x'));
    EXPECT_THAT(refused, HasSubstr("HTTP/1.1 413 "));
    EXPECT_THAT(refused, HasSubstr("RequestEntityTooLarge"));
    auto done = co_await Done(reply);
    EXPECT_EQ(done.ending, Ending::kTooLarge);
    EXPECT_EQ(done.error_type, "Function.ResponseSizeTooLarge");
    reply = Offer();
    (void)co_await client.Get("invocation/next");
    (void)co_await client.Post("invocation/id-1/response", "1");
    EXPECT_EQ((co_await Done(reply)).payload, "1");
  });
}

TEST_F(RuntimeApiWorkerTest, GivesTheEventToTheNewestNext) {
  RunWith([&]() -> Task<void> {
    Client dead = Connect();
    Client live = Connect();
    auto old = Beside(dead.Get("invocation/next"));
    co_await Turns(50);
    auto next = Beside(live.Get("invocation/next"));
    CHECK(co_await Until([&] { return old->has_value(); }));
    EXPECT_THAT(**old, HasSubstr("HTTP/1.1 403 "));
    auto reply = Offer();
    CHECK(co_await Until([&] { return next->has_value(); }));
    EXPECT_THAT(**next, HasSubstr("{\"event\":1}"));
    (void)co_await live.Post("invocation/id-1/response", "1");
    EXPECT_EQ((co_await Done(reply)).payload, "1");
  });
}

TEST_F(RuntimeApiWorkerTest, StreamsChunksAndTakesAnErrorFromTheTrailers) {
  std::string seen;
  ResponseSink sink{.begin = [&](std::string type) -> Task<bool> {
                      seen += "[" + type + "]";
                      co_return true;
                    },
                    .chunk = [&](std::string piece) -> Task<bool> {
                      seen += piece;
                      co_return true;
                    },
                    .gone = {}};
  RunWith([&]() -> Task<void> {
    const std::string head = "POST " + std::string(kBase) +
                             "invocation/id-1/response HTTP/1.1\r\nHost: x\r\nContent-Type: "
                             "text/plain\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n"
                             "Transfer-Encoding: chunked\r\n";
    Client client = Connect();
    auto reply = Offer(&sink);
    (void)co_await client.Get("invocation/next");
    co_await client.Send(head + "\r\n3\r\none\r\n");
    EXPECT_TRUE(co_await Until([&] { return seen == "[text/plain]one"; })) << seen;
    EXPECT_FALSE(reply->has_value());
    co_await client.Send("3\r\ntwo\r\n0\r\n\r\n");
    EXPECT_EQ((co_await Done(reply)).ending, Ending::kAnswered);
    EXPECT_EQ(seen, "[text/plain]onetwo");
    EXPECT_THAT(co_await client.Receive(), HasSubstr("HTTP/1.1 202 "));

    reply = Offer(&sink);
    (void)co_await client.Get("invocation/next");
    co_await client.Send(head +
                         "Trailer: Lambda-Runtime-Function-Error-Type, "
                         "Lambda-Runtime-Function-Error-Body\r\n\r\n1\r\nx\r\n0\r\n"
                         "Lambda-Runtime-Function-Error-Type: Runtime.Late\r\n"
                         "Lambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n\r\n");
    auto failed = co_await Done(reply);
    EXPECT_EQ(failed.ending, Ending::kFailed);
    EXPECT_EQ(failed.error_type, "Runtime.Late");
    EXPECT_EQ(failed.payload, "{\"a\":1}");
    (void)co_await client.Receive();

    reply = Offer(&sink);
    {
      Client broken = Connect();
      (void)co_await client.Get("invocation/next");
      co_await broken.Send(head + "\r\n5\r\nab");
      co_await Turns(50);
    }
    EXPECT_EQ((co_await Done(reply)).error_type, "Runtime.TruncatedResponse");
  });
}

TEST_F(RuntimeApiWorkerTest, WakesWhoWaitsWhenClosed) {
  RunWith([&]() -> Task<void> {
    Client client = Connect();
    auto reply = Offer();
    (void)co_await client.Get("invocation/next");
    worker_->Close();
    EXPECT_EQ((co_await Done(reply)).ending, Ending::kGone);
    EXPECT_EQ((co_await Done(Offer())).ending, Ending::kNotBegun);
  });
}

TEST_F(RuntimeApiWorkerTest, KeepsLineBreaksOutOfItsHeaders) {
  call_.trace_id = "Root=1\r\nX-Evil: 1";
  RunWith([&]() -> Task<void> {
    Client client = Connect();
    auto reply = Offer();
    auto event = co_await client.Get("invocation/next");
    EXPECT_THAT(event, Not(HasSubstr("Evil")));
    worker_->Close();
    (void)co_await Done(reply);
  });
}

}  // namespace
}  // namespace samovar
