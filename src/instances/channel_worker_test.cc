#include "instances/channel_worker.h"

#include <sys/socket.h>

#include "instances/loop_test.h"
#include "wire/channel.h"

namespace samovar {
namespace {

constexpr Bytes kBound = Bytes::KiB(64);
constexpr WallTime kDeadline{std::chrono::milliseconds(1'800'000'000'500)};

// The frames that a runtime sends, and what the server makes of them.
struct Sent {
  FrameType type;
  std::string meta;
  std::string payload;
};

class ChannelWorkerTest : public LoopTest {
 protected:
  ChannelWorkerTest() {
    int pair[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    worker_ = std::make_unique<ChannelWorker>(Loop(), Fd(pair[0]), kBound);
    runtime_ = std::make_unique<FrameChannel>(Loop(), Fd(pair[1]));
    call_.request_id = "id-1";
    call_.invoked_arn = "arn:f";
    call_.client_context = "{\"c\":1}";
    call_.payload = "{\"event\":1}";
  }

  Task<void> Send(std::vector<Sent> frames) {
    for (auto& sent : frames) {
      ChannelFrame frame;
      frame.type = static_cast<std::uint8_t>(sent.type);
      frame.meta = std::move(sent.meta);
      frame.payload = std::move(sent.payload);
      (void)co_await runtime_->Write(std::move(frame));
    }
  }

  // One call, answered by these frames.
  Task<WorkerReply> Answer(std::vector<Sent> frames, ResponseSink* sink = nullptr) {
    Invocation call = call_;
    auto reply = Beside(worker_->Invoke(call, kDeadline, sink));
    auto event = co_await runtime_->Read();
    CHECK(event.has_value());
    event_ = std::move(*event);
    auto sending = Beside([&]() -> Task<bool> {
      co_await Send(frames);
      co_return true;
    }());
    CHECK(co_await Until([&] { return reply->has_value(); }));
    co_return std::move(**reply);
  }

  Invocation call_;
  ChannelFrame event_;
  std::unique_ptr<ChannelWorker> worker_;
  std::unique_ptr<FrameChannel> runtime_;
};

TEST_F(ChannelWorkerTest, SendsTheEventWithAllThatBelongsToIt) {
  Run([&]() -> Task<void> {
    auto reply = co_await Answer({{FrameType::kResponse, "", "{\"answer\":1}"}});
    EXPECT_EQ(reply.ending, Ending::kAnswered);
    EXPECT_EQ(reply.payload, "{\"answer\":1}");
    EXPECT_TRUE(reply.usable);
    EXPECT_EQ(event_.type, static_cast<std::uint8_t>(FrameType::kInvoke));
    EXPECT_EQ(event_.payload, "{\"event\":1}");
    auto meta = DecodeInvokeMeta(event_.meta);
    CHECK(meta.has_value());
    EXPECT_EQ(meta->request_id, "id-1");
    EXPECT_EQ(meta->deadline_ms, 1'800'000'000'500);
    EXPECT_EQ(meta->invoked_arn, "arn:f");
    EXPECT_EQ(meta->client_context, "{\"c\":1}");
    EXPECT_EQ(meta->trace_id, "");
    EXPECT_FALSE(meta->streaming);
  });
}

TEST_F(ChannelWorkerTest, GivesRoomBackOnceTheRuntimeHasTheEvent) {
  call_.payload = std::string(200'000, 'x');
  auto room = std::make_shared<int>();
  call_.room = room;
  Run([&]() -> Task<void> {
    Invocation call = std::exchange(call_, {});
    auto reply = Beside(worker_->Invoke(call, kDeadline, nullptr));
    const auto event = co_await runtime_->Read();
    CHECK(event.has_value());
    EXPECT_TRUE(co_await Until([&] { return room.use_count() == 1; }));
    EXPECT_FALSE(reply->has_value());
    co_await Send({{FrameType::kResponse, "", "1"}});
    CHECK(co_await Until([&] { return reply->has_value(); }));
  });
}

TEST_F(ChannelWorkerTest, KeepsOutsideTextFromPartingAField) {
  call_.trace_id = std::string("Root=1\0evil", 11);
  call_.client_context = std::string(60'000, 'x');
  Run([&]() -> Task<void> {
    (void)co_await Answer({{FrameType::kResponse, "", "1"}});
    auto meta = DecodeInvokeMeta(event_.meta);
    CHECK(meta.has_value());
    EXPECT_EQ(meta->trace_id, "Root=1");
    EXPECT_LT(meta->client_context.size(), 10'000u);
  });
}

TEST_F(ChannelWorkerTest, TakesReadyOrAnInitError) {
  Run([&]() -> Task<void> {
    auto init = Beside(worker_->Init());
    co_await Send({{FrameType::kReady, "python3.11.7", ""}});
    CHECK(co_await Until([&] { return init->has_value(); }));
    EXPECT_EQ((*init)->ending, Ending::kAnswered);
    init = Beside(worker_->Init());
    co_await Send({{FrameType::kInitError, "Runtime.ImportModuleError", "{\"errorMessage\":1}"}});
    CHECK(co_await Until([&] { return init->has_value(); }));
    EXPECT_EQ((*init)->ending, Ending::kFailed);
    EXPECT_EQ((*init)->error_type, "Runtime.ImportModuleError");
    EXPECT_EQ((*init)->payload, "{\"errorMessage\":1}");
    EXPECT_FALSE((*init)->usable);
  });
}

TEST_F(ChannelWorkerTest, BoundsAnswersAndGoesOn) {
  std::string large(kBound.count + 1, 'x');
  Run([&]() -> Task<void> {
    auto reply = co_await Answer({{FrameType::kResponse, "", large}});
    EXPECT_EQ(reply.ending, Ending::kTooLarge);
    EXPECT_EQ(reply.error_type, "Function.ResponseSizeTooLarge");
    EXPECT_EQ(reply.payload,
              "{\"errorMessage\":\"Response payload size exceeded maximum allowed payload size "
              "(65536 bytes).\",\"errorType\":\"Function.ResponseSizeTooLarge\"}");
    EXPECT_TRUE(reply.usable);
    reply = co_await Answer({{FrameType::kStreamBegin, "", ""},
                             {FrameType::kStreamChunk, "", large.substr(2)},
                             {FrameType::kStreamChunk, "", "xx"},
                             {FrameType::kStreamEnd, "", ""}});
    EXPECT_EQ(reply.ending, Ending::kTooLarge);
    reply = co_await Answer({{FrameType::kResponse, "", large.substr(1)}});
    EXPECT_EQ(reply.ending, Ending::kAnswered);
    // Far past the bound it is not even read.
    reply = co_await Answer({{FrameType::kResponse, "", std::string(8 * kBound.count, 'x')}});
    EXPECT_EQ(reply.ending, Ending::kTooLarge);
    EXPECT_FALSE(reply.usable);
  });
}

TEST_F(ChannelWorkerTest, EndsTheInstanceThatBreaksTheProtocol) {
  struct Case {
    std::string_view name;
    std::vector<Sent> frames;
  };
  const std::vector<Case> cases = {
      {"ready out of turn", {{FrameType::kReady, "", ""}}},
      {"a chunk before the beginning", {{FrameType::kStreamChunk, "", "x"}}},
      {"an end before the beginning", {{FrameType::kStreamEnd, "", ""}}},
      {"two beginnings", {{FrameType::kStreamBegin, "", ""}, {FrameType::kStreamBegin, "", ""}}},
      {"a response in a stream",
       {{FrameType::kStreamBegin, "", ""}, {FrameType::kResponse, "", "1"}}},
      {"the server's own type", {{FrameType::kInvoke, "", ""}}},
      {"an unknown type", {{static_cast<FrameType>(99), "", ""}}},
  };
  for (const Case& c : cases) {
    ChannelWorkerTest_EndsTheInstanceThatBreaksTheProtocol_Test fresh;
    fresh.Run([&]() -> Task<void> {
      auto reply = co_await fresh.Answer(c.frames);
      EXPECT_EQ(reply.ending, Ending::kGone) << c.name;
      EXPECT_FALSE(reply.usable) << c.name;
      EXPECT_NE(reply.detail, "") << c.name;
    });
  }
}

TEST_F(ChannelWorkerTest, StreamsToTheSinkPieceByPiece) {
  std::string seen;
  ResponseSink sink{.begin = [&](std::string type) -> Task<bool> {
                      seen += "[" + type + "]";
                      co_return true;
                    },
                    .chunk = [&](std::string piece) -> Task<bool> {
                      seen += "(" + piece + ")";
                      co_return piece != "stop";
                    },
                    .gone = {}};
  Run([&]() -> Task<void> {
    auto reply = co_await Answer({{FrameType::kStreamBegin, "text/plain", ""},
                                  {FrameType::kStreamChunk, "", "a"},
                                  {FrameType::kStreamChunk, "", "b"},
                                  {FrameType::kStreamEnd, "", ""}},
                                 &sink);
    EXPECT_EQ(seen, "[text/plain](a)(b)");
    EXPECT_EQ(reply.ending, Ending::kAnswered);
    auto meta = DecodeInvokeMeta(event_.meta);
    CHECK(meta.has_value());
    EXPECT_TRUE(meta->streaming);

    seen.clear();  // a buffered answer is one piece
    reply = co_await Answer({{FrameType::kResponse, "", "whole"}}, &sink);
    EXPECT_EQ(seen, "[](whole)");

    seen.clear();  // who went away gets no more, and the runtime goes on
    reply = co_await Answer({{FrameType::kStreamBegin, "", ""},
                             {FrameType::kStreamChunk, "", "stop"},
                             {FrameType::kStreamChunk, "", "unseen"},
                             {FrameType::kStreamEnd, "", ""}},
                            &sink);
    EXPECT_EQ(seen, "[](stop)");
    EXPECT_EQ(reply.ending, Ending::kAnswered);

    seen.clear();
    reply = co_await Answer({{FrameType::kStreamBegin, "", ""},
                             {FrameType::kStreamEnd, "Late", "{\"errorMessage\":\"late\"}"}},
                            &sink);
    EXPECT_EQ(reply.ending, Ending::kFailed);
    EXPECT_EQ(reply.error_type, "Late");
    EXPECT_EQ(reply.payload, "{\"errorMessage\":\"late\"}");
  });
}

TEST_F(ChannelWorkerTest, DoesNotWaitForAClientThatTakesNothingOnceItIsClosed) {
  Signal never(Loop());
  bool asked = false;
  ResponseSink sink{.begin = [](std::string) -> Task<bool> { co_return true; },
                    .chunk = [&](std::string) -> Task<bool> {
                      asked = true;
                      co_await never.Wait();
                      co_return true;
                    },
                    .gone = {}};
  Run([&]() -> Task<void> {
    auto reply = Beside(worker_->Invoke(call_, kDeadline, &sink));
    co_await Send({{FrameType::kStreamBegin, "", ""}, {FrameType::kStreamChunk, "", "x"}});
    CHECK(co_await Until([&] { return asked; }));
    co_await Turns(5);
    EXPECT_FALSE(reply->has_value());
    worker_->Close();
    CHECK(co_await Until([&] { return reply->has_value(); }));
    EXPECT_EQ((*reply)->ending, Ending::kGone);
  });
}

TEST_F(ChannelWorkerTest, KeepsTheEventWhereTheRuntimeWasGoneBefore) {
  Run([&]() -> Task<void> {
    runtime_->Close();
    runtime_.reset();
    auto reply = co_await worker_->Invoke(call_, kDeadline, nullptr);
    EXPECT_EQ(reply.ending, Ending::kNotBegun);
    EXPECT_EQ(call_.payload, "{\"event\":1}");
  });
}

TEST_F(ChannelWorkerTest, WakesWhoWaitsWhenClosed) {
  Run([&]() -> Task<void> {
    auto reply = Beside(worker_->Invoke(call_, kDeadline, nullptr));
    co_await Turns(5);
    EXPECT_FALSE(reply->has_value());
    worker_->Close();
    CHECK(co_await Until([&] { return reply->has_value(); }));
    EXPECT_EQ((*reply)->ending, Ending::kGone);
  });
}

}  // namespace
}  // namespace samovar
