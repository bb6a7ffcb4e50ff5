#include "instances/async_invoker.h"

#include <gmock/gmock.h>

#include <set>

#include "instances/loop_test.h"
#include "instances/signal.h"
#include "store/memory_store.h"

namespace samovar {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr std::string_view kArn = "arn:aws:lambda:us-east-1:000000000000:function:";

// Knows the functions it is told of.
class FewFunctions final : public Registry {
 public:
  Task<Result<boost::json::object>> Execute(std::string, boost::json::object) override {
    co_return Fail(Code::kUnsupported, "not here");
  }
  Task<Result<Resolved>> Resolve(std::string name, std::string) override {
    auto function = ParseFunctionArn(name).function;
    if (!functions.contains(function)) co_return Fail(Code::kNotFound, "no function");
    auto version = std::make_shared<Version>();
    version->function = function;
    version->number = "$LATEST";
    version->function_arn = std::string(kArn) + function;
    co_return Resolved{version, name, reserved};
  }
  AsyncPolicy AsyncPolicyOf(const std::string& function, const std::string&) override {
    return function == "f" ? policy : AsyncPolicy{};
  }
  std::optional<FunctionUrl> FindUrl(const std::string&) override { return std::nullopt; }
  bool PolicyAllowsAll(const std::string&, const std::string&, std::string_view) override {
    return false;
  }
  void OnRetired(std::function<void(const std::string&)>) override {}
  std::vector<std::string> Names() const override { return {functions.begin(), functions.end()}; }

  std::set<std::string> functions{"f", "g"};
  AsyncPolicy policy;
  std::optional<int> reserved;
};

// Answers as it is told to; remembers what it was asked.
class Answers final : public Invoker {
 public:
  Task<Result<InvocationResult>> Invoke(Invocation call, ResponseSink*) override {
    calls.push_back(call);
    if (hold) co_await hold->Wait();
    co_return answer(call);
  }
  static Result<InvocationResult> Good(const Invocation&) {
    InvocationResult result;
    result.payload = "{\"good\":true}";
    return result;
  }
  static Result<InvocationResult> Bad(const Invocation&) {
    InvocationResult result;
    result.payload = "{\"errorMessage\":\"on purpose\"}";
    result.function_error = "Unhandled";
    return result;
  }
  std::vector<Invocation> calls;
  std::function<Result<InvocationResult>(const Invocation&)> answer = Good;
  Signal* hold = nullptr;
};

class AsyncInvokerTest : public LoopTest {
 protected:
  void Open() {
    queue_ = std::make_unique<AsyncInvoker>(Loop(), pool_, store_, clock_, options_, invoker_,
                                            registry_);
    ASSERT_TRUE(queue_->Load());
  }
  // As a kill -9 and a new start: what was under way is cut off, only the disk remains.
  Task<void> Crash() {
    co_await queue_->Stop(Deadline{clock_.Now()});
    Open();
  }
  Task<Result<void>> Add(std::string payload = "{}", std::string function = "f") {
    Invocation call;
    call.request_id = "id-" + std::to_string(++ids_);
    auto version = std::make_shared<Version>();
    version->function = function;
    call.version = version;
    call.invoked_arn = std::string(kArn) + function;
    call.payload = std::move(payload);
    co_return co_await queue_->Enqueue(std::move(call));
  }
  // Runs what is due until nothing more happens.
  Task<void> RunDue() {
    for (int i = 0; i < 5; ++i) {
      queue_->Tick();
      co_await Turns(1100);
    }
  }
  std::size_t OnDisk() const { return store_.Contents().size(); }

  MemoryStore store_;
  Answers invoker_;
  FewFunctions registry_;
  AsyncOptions options_;
  std::unique_ptr<AsyncInvoker> queue_;
  int ids_ = 0;
};

TEST_F(AsyncInvokerTest, AnswersOnlyAfterTheEventIsOnDiskAndRemovesItOnlyAfterItRan) {
  Run([&]() -> Task<void> {
    Open();
    Signal hold(Loop());
    invoker_.hold = &hold;
    EXPECT_TRUE(co_await Add("{\"a\":1}"));  // not started: nothing runs
    EXPECT_EQ(OnDisk(), 1u);
    EXPECT_TRUE(invoker_.calls.empty());
    queue_->Start();
    EXPECT_TRUE(co_await Until([&] { return invoker_.calls.size() == 1; }));
    EXPECT_EQ(invoker_.calls[0].payload, "{\"a\":1}");
    EXPECT_EQ(invoker_.calls[0].request_id, "id-1");
    EXPECT_EQ(OnDisk(), 1u);
    hold.Notify();
    EXPECT_TRUE(co_await Until([&] { return OnDisk() == 0; }));
    EXPECT_TRUE(co_await Until([&] { return queue_->Stats().delivered == 1; }));
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, SaysSoWhenTheDiskRefuses) {
  Run([&]() -> Task<void> {
    Open();
    store_.FailWrites(1);
    EXPECT_FALSE(co_await Add());
    EXPECT_EQ(queue_->Stats().queued, 0u);
    EXPECT_EQ(queue_->Functions(), 0u);
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, RetriesTwiceAfterOneAndTwoMinutesThenTellsTheDestination) {
  registry_.policy.on_failure_arn = std::string(kArn) + "g";
  invoker_.answer = [](const Invocation& call) {
    return call.version->function == "f" ? Answers::Bad(call) : Answers::Good(call);
  };
  Run([&]() -> Task<void> {
    Open();
    queue_->Start();
    EXPECT_TRUE(co_await Add("{\"a\":1}"));
    co_await RunDue();
    EXPECT_EQ(invoker_.calls.size(), 1u);
    clock_.Advance(seconds(59));
    co_await RunDue();
    EXPECT_EQ(invoker_.calls.size(), 1u);
    clock_.Advance(seconds(2));
    co_await RunDue();
    EXPECT_EQ(invoker_.calls.size(), 2u);
    clock_.Advance(minutes(2));
    co_await RunDue();
    CHECK(invoker_.calls.size() == 4);
    EXPECT_EQ(invoker_.calls[2].request_id, "id-1");
    EXPECT_EQ(invoker_.calls[3].version->function, "g");
    EXPECT_NE(invoker_.calls[3].request_id, "id-1");
    EXPECT_THAT(invoker_.calls[3].payload, HasSubstr("\"condition\":\"RetriesExhausted\""));
    EXPECT_THAT(invoker_.calls[3].payload, HasSubstr("\"approximateInvokeCount\":3"));
    EXPECT_THAT(invoker_.calls[3].payload, HasSubstr("\"requestPayload\":{\"a\":1}"));
    EXPECT_THAT(invoker_.calls[3].payload, HasSubstr("function:f:$LATEST"));
    EXPECT_EQ(OnDisk(), 0u);
    EXPECT_EQ(queue_->Stats().failed, 1u);
    EXPECT_EQ(queue_->Stats().retried, 2u);
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, GivesUpWhenTheNextRetryWouldComeTooLate) {
  registry_.policy.max_age = seconds(60);
  registry_.policy.on_failure_arn = std::string(kArn) + "g";
  invoker_.answer = [](const Invocation& call) {
    return call.version->function == "f" ? Answers::Bad(call) : Answers::Good(call);
  };
  Run([&]() -> Task<void> {
    Open();
    queue_->Start();
    EXPECT_TRUE(co_await Add());
    co_await RunDue();
    CHECK(invoker_.calls.size() == 2);
    EXPECT_THAT(invoker_.calls[1].payload, HasSubstr("\"condition\":\"EventAgeExceeded\""));
    EXPECT_THAT(invoker_.calls[1].payload, HasSubstr("\"approximateInvokeCount\":1"));
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, RetriesThrottlesUntilTheMaximumAgeWithoutCountingThem) {
  registry_.policy.max_age = hours(1);
  invoker_.answer = [](const Invocation&) -> Result<InvocationResult> {
    return Fail(Code::kThrottled, "Rate Exceeded.");
  };
  Run([&]() -> Task<void> {
    Open();
    queue_->Start();
    EXPECT_TRUE(co_await Add());
    co_await RunDue();
    EXPECT_EQ(invoker_.calls.size(), 1u);
    for (int wait : {1, 2, 4, 8}) {
      clock_.Advance(seconds(wait));
      co_await RunDue();
    }
    EXPECT_EQ(invoker_.calls.size(), 5u);
    EXPECT_EQ(OnDisk(), 1u);
    clock_.Advance(hours(2));
    co_await RunDue();
    EXPECT_EQ(invoker_.calls.size(), 5u);
    EXPECT_EQ(OnDisk(), 0u);
    EXPECT_EQ(queue_->Stats().failed, 1u);
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, TakesAZeroReservationStraightToTheFailureDestination) {
  registry_.reserved = 0;
  registry_.policy.on_failure_arn = std::string(kArn) + "g";
  Run([&]() -> Task<void> {
    Open();
    queue_->Start();
    EXPECT_TRUE(co_await Add());
    EXPECT_TRUE(co_await Until([&] { return queue_->Stats().failed == 1; }));
    EXPECT_TRUE(invoker_.calls.empty());
    registry_.reserved.reset();
    // What g was sent may have met the zero too, which this registry gives to all.
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, SendsDeadLettersAndCountsWhatItCannotDeliver) {
  registry_.policy.max_retries = 0;
  registry_.policy.dead_letter_arn = std::string(kArn) + "g";
  registry_.policy.on_failure_arn = "arn:aws:sqs:us-east-1:000000000000:queue";
  invoker_.answer = [](const Invocation& call) {
    return call.version->function == "f" ? Answers::Bad(call) : Answers::Good(call);
  };
  Run([&]() -> Task<void> {
    Open();
    queue_->Start();
    EXPECT_TRUE(co_await Add("{\"a\":1}"));
    co_await RunDue();
    CHECK(invoker_.calls.size() == 2);
    EXPECT_EQ(invoker_.calls[1].version->function, "g");
    EXPECT_EQ(invoker_.calls[1].payload, "{\"a\":1}");
    EXPECT_EQ(invoker_.calls[1].client_context,
              "{\"custom\":{\"RequestID\":\"id-1\",\"ErrorCode\":\"200\",\"ErrorMessage\":\"on "
              "purpose\"}}");
    EXPECT_EQ(queue_->Stats().undeliverable, 1u);
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, EndsAChainThatLeadsBackToItself) {
  registry_.policy.on_success_arn = std::string(kArn) + "f";
  Run([&]() -> Task<void> {
    Open();
    queue_->Start();
    EXPECT_TRUE(co_await Add());
    EXPECT_TRUE(co_await Until([&] { return queue_->Stats().undeliverable == 1; }));
    EXPECT_TRUE(co_await Until([&] { return queue_->Stats().queued == 0; }));
    EXPECT_EQ(invoker_.calls.size(), 17u);
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, DropsTheEventsOfADeletedFunction) {
  invoker_.answer = Answers::Bad;
  Run([&]() -> Task<void> {
    Open();
    queue_->Start();
    EXPECT_TRUE(co_await Add());
    co_await RunDue();
    EXPECT_EQ(OnDisk(), 1u);  // waits for its retry
    queue_->DropIfDeleted("f:$LATEST:r1");
    co_await RunDue();
    EXPECT_EQ(OnDisk(), 1u);  // the function is still there
    registry_.functions.erase("f");
    queue_->DropIfDeleted("f:$LATEST:r1");
    co_await RunDue();
    EXPECT_EQ(OnDisk(), 0u);
    EXPECT_EQ(queue_->Stats().dropped, 1u);
    EXPECT_EQ(queue_->Stats().queued, 0u);
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, BoundsTheQueueOfAFunction) {
  options_.max_events_per_function = 2;
  Run([&]() -> Task<void> {
    Open();
    EXPECT_TRUE(co_await Add());
    EXPECT_TRUE(co_await Add());
    auto full = co_await Add();
    CHECK(!full.has_value());
    EXPECT_EQ(full.error().code, Code::kThrottled);
    EXPECT_TRUE(co_await Add("{}", "g"));  // another function's is its own
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, KeepsNothingOfAFunctionWhoseEventWasRefused) {
  options_.max_events = 0;
  Run([&]() -> Task<void> {
    Open();
    EXPECT_FALSE(co_await Add());
    EXPECT_EQ(queue_->Functions(), 0u);
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, RunsNoMoreOfAFunctionAtATimeThanItHasWorkers) {
  options_.workers_per_function = 3;
  Run([&]() -> Task<void> {
    Open();
    Signal hold(Loop());
    invoker_.hold = &hold;
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(co_await Add());
    queue_->Start();
    co_await RunDue();
    EXPECT_EQ(invoker_.calls.size(), 3u);
    invoker_.hold = nullptr;
    hold.Notify();
    EXPECT_TRUE(co_await Until([&] { return queue_->Stats().delivered == 10; }));
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

TEST_F(AsyncInvokerTest, SkipsWhatItCannotReadAndRunsTheRest) {
  Run([&]() -> Task<void> {
    WriteBatch batch;
    batch.Put("async/f/00000000000000000007", "rubbish");
    EXPECT_TRUE(store_.Write(batch));
    Open();
    queue_->Start();
    EXPECT_TRUE(co_await Add());
    EXPECT_TRUE(co_await Until([&] { return queue_->Stats().delivered == 1; }));
    EXPECT_EQ(OnDisk(), 1u);  // kept for people to look at
    co_await queue_->Stop(Deadline{clock_.Now()});
  });
}

// Fails each write in turn, and crashes there: what was acknowledged must run, and its destination
// must be told, at least once, in the end.
TEST_F(AsyncInvokerTest, LosesNothingWhicheverWriteFailsAndWhereverItCrashes) {
  options_.disk_retry = hours(24 * 365);  // a failed write stays failed until the crash
  options_.retry_backoff = milliseconds(1);
  registry_.policy.max_retries = 1;
  registry_.policy.on_failure_arn = std::string(kArn) + "g";
  invoker_.answer = [](const Invocation& call) {
    return call.version->function == "f" ? Answers::Bad(call) : Answers::Good(call);
  };
  // Writes: enqueue, first retry, failure with its destination, the destination's success.
  for (int failing = 1; failing <= 5; ++failing) {
    invoker_.calls.clear();
    Run([&]() -> Task<void> {
      Open();
      queue_->Start();
      store_.FailWrites(failing);
      bool acknowledged = (co_await Add("{\"n\":1}")).has_value();
      EXPECT_EQ(acknowledged, failing != 1);
      for (int i = 0; i < 3; ++i) {
        co_await RunDue();
        clock_.Advance(seconds(1));
      }
      co_await Crash();
      EXPECT_EQ(queue_->Stats().queued > 0, failing >= 2 && failing <= 4) << failing;
      queue_->Start();
      for (int i = 0; i < 3; ++i) {
        co_await RunDue();
        clock_.Advance(seconds(1));
      }
      int told = 0;
      for (const auto& call : invoker_.calls) told += call.version->function == "g" ? 1 : 0;
      EXPECT_GE(told, acknowledged ? 1 : 0) << failing;
      EXPECT_EQ(OnDisk(), 0u) << failing;
      store_.FailWrites(0);
      co_await queue_->Stop(Deadline{clock_.Now()});
    });
  }
}

}  // namespace
}  // namespace samovar
