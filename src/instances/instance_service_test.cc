#include "instances/instance_service.h"

#include <gmock/gmock.h>

#include "instances/service_fixture.h"

namespace samovar {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

TEST_F(InstanceServiceTest, AnswersTheFirstRequestAfterZeroAndReusesTheInstance) {
  Use(Echo());
  Run([&]() -> Task<void> {
    auto first = co_await Done(Call("\"a\""));
    CHECK(first.has_value());
    EXPECT_EQ(first->payload, "\"a\"");
    EXPECT_TRUE(first->init.has_value());
    EXPECT_TRUE(host_->processes[0]->cpu_limited);
    auto second = co_await Done(Call("\"b\""));
    CHECK(second.has_value());
    EXPECT_EQ(second->payload, "\"b\"");
    EXPECT_FALSE(second->init.has_value());
    EXPECT_EQ(host_->processes.size(), 1u);
    EXPECT_EQ(books_->List().front()->invocations, 2u);
    EXPECT_EQ(books_->List().front()->cold_starts, 1u);
    auto list = service_->Instances();
    CHECK(list.size() == 1);
    EXPECT_EQ(list[0].state, "idle");
    EXPECT_EQ(list[0].invocations, 2u);
    EXPECT_EQ(list[0].memory, Bytes::MiB(20));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, PutsAllThatWasPrintedBeforeTheAnswerIntoTheTail) {
  Use(Runtime([](FakeProcess& process, std::string) -> Task<void> {
    process.Print("hello\nno newline");
    co_await process.Send(FrameType::kResponse, "", "null");
  }));
  Run([&]() -> Task<void> {
    auto result = co_await Done(Call());
    CHECK(result.has_value());
    EXPECT_TRUE(result->log_tail.starts_with(
        "START RequestId: id-1 Version: $LATEST\nhello\nno newline\nEND RequestId: id-1\n"
        "REPORT RequestId: id-1\tDuration: "))
        << result->log_tail;
    EXPECT_THAT(result->log_tail, HasSubstr("\tInit Duration: "));
    auto kept = co_await logs_->Read("f", {});
    CHECK(kept.has_value());
    EXPECT_EQ(kept->size(), 5u);
    EXPECT_EQ((*kept)[1].message, "hello");
    co_await End();
  });
}

TEST_F(InstanceServiceTest, KeepsOnlyTheLastFourKilobytesOfTheTail) {
  Use(Runtime([](FakeProcess& process, std::string) -> Task<void> {
    process.Print(std::string(40'000, 'x') + "\n");
    co_await process.Send(FrameType::kResponse, "", "null");
  }));
  Run([&]() -> Task<void> {
    auto result = co_await Done(Call());
    CHECK(result.has_value());
    EXPECT_EQ(result->log_tail.size(), 4096u);
    EXPECT_THAT(result->log_tail, HasSubstr("REPORT RequestId"));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, ReportsFunctionErrorsExitsAndOutOfMemoryAsLambdaDoes) {
  struct Case {
    std::string_view name;
    SandboxExit exit;
    std::string_view type;
    std::string_view message;
  };
  const Case cases[] = {
      {"exit 0", ExitedWith(0), "Runtime.ExitError", "Runtime exited without providing a reason"},
      {"exit 1", ExitedWith(1), "Runtime.ExitError", "Runtime exited with error: exit status 1"},
      {"segfault", KilledBy(11), "Runtime.ExitError",
       "Runtime exited with error: signal: segmentation fault"},
      {"killed", KilledBy(9), "Runtime.ExitError", "Runtime exited with error: signal: killed"},
      {"out of memory", KilledBy(9, true), "Runtime.OutOfMemory",
       "Runtime exited with error: signal: killed"},
  };
  std::size_t next = 0;
  Use(Runtime([&](FakeProcess& process, std::string) -> Task<void> {
    process.Print("last words\n");
    process.Exit(cases[next].exit);
    co_return;
  }));
  Run([&]() -> Task<void> {
    for (next = 0; next < std::size(cases); ++next) {
      const Case& c = cases[next];
      auto result = co_await Done(Call());
      CHECK(result.has_value());
      EXPECT_EQ(result->function_error, "Unhandled") << c.name;
      EXPECT_EQ(result->error_type, c.type) << c.name;
      std::string id = "id-" + std::to_string(next + 1);
      EXPECT_EQ(result->payload, "{\"errorType\":\"" + std::string(c.type) +
                                     "\",\"errorMessage\":\"RequestId: " + id +
                                     " Error: " + std::string(c.message) + "\"}");
      EXPECT_THAT(result->log_tail, HasSubstr("last words\n")) << c.name;
      EXPECT_THAT(result->log_tail, HasSubstr(std::string(c.message))) << c.name;
      EXPECT_THAT(result->log_tail, HasSubstr("REPORT RequestId: " + id)) << c.name;
    }
    EXPECT_EQ(books_->List().front()->errors, std::size(cases));
    EXPECT_EQ(host_->processes.size(), std::size(cases));  // each was thrown away
    co_await End();
  });
}

TEST_F(InstanceServiceTest, KillsAnInstanceWhoseCallTimedOut) {
  Use(Runtime([](FakeProcess& process, std::string event) -> Task<void> {
    if (event == "\"quick\"") co_await process.Send(FrameType::kResponse, "", "1");
  }));
  Run([&]() -> Task<void> {
    auto slow = Call("\"slow\"");
    EXPECT_TRUE(co_await Until([&] {
      return !service_->Instances().empty() && service_->Instances()[0].state == "busy";
    }));
    co_await Turns(20);
    clock_.Advance(milliseconds(2999));
    service_->Tick();
    co_await Turns(20);
    EXPECT_FALSE(slow->has_value());
    clock_.Advance(milliseconds(2));
    service_->Tick();
    auto result = co_await Done(slow);
    CHECK(result.has_value());
    EXPECT_EQ(result->error_type, "Sandbox.Timedout");
    EXPECT_EQ(result->payload,
              "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: id-1 Error: Task "
              "timed out after 3.00 seconds\"}");
    EXPECT_EQ(result->duration, seconds(3));
    EXPECT_THAT(result->log_tail, HasSubstr("Task timed out after 3.00 seconds"));
    EXPECT_EQ(books_->List().front()->timeouts, 1u);
    EXPECT_TRUE(host_->processes[0]->exit.has_value());
    auto next = co_await Done(Call("\"quick\""));
    CHECK(next.has_value());
    EXPECT_EQ(next->payload, "1");
    EXPECT_EQ(host_->processes.size(), 2u);
    co_await End();
  });
}

TEST_F(InstanceServiceTest, AnswersAnInitErrorToTheOneWhoWaitsAfterASecondTry) {
  Use([](FakeProcessPtr process) -> Task<void> {
    process->Print("Traceback\n");
    co_await process->Send(FrameType::kInitError, "Runtime.ImportModuleError",
                           "{\"errorMessage\":\"no module\"}");
    process->Exit(ExitedWith(1));
  });
  Run([&]() -> Task<void> {
    auto result = co_await Done(Call());
    CHECK(result.has_value());
    EXPECT_EQ(result->error_type, "Runtime.ImportModuleError");
    EXPECT_EQ(result->payload, "{\"errorMessage\":\"no module\"}");
    EXPECT_EQ(result->function_error, "Unhandled");
    EXPECT_THAT(result->log_tail, HasSubstr("Traceback\n"));
    EXPECT_THAT(result->log_tail,
                HasSubstr("Phase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError"));
    EXPECT_EQ(host_->processes.size(), 2u);
    auto kept = co_await logs_->Read("f", {});
    CHECK(kept.has_value());
    auto first = [](const LogRecord& line) {
      return line.message.find("Phase: init\tStatus: error") != std::string::npos;
    };
    EXPECT_EQ(std::ranges::count_if(*kept, first), 1);
    co_await End();
  });
}

TEST_F(InstanceServiceTest, AnswersAnExitDuringInitialisation) {
  Use([](FakeProcessPtr process) -> Task<void> {
    process->Exit(ExitedWith(127));
    co_return;
  });
  Run([&]() -> Task<void> {
    auto result = co_await Done(Call());
    CHECK(result.has_value());
    EXPECT_EQ(result->error_type, "Runtime.ExitError");
    EXPECT_THAT(result->payload,
                HasSubstr("RequestId: id-1 Error: Runtime exited with error: exit status 127"));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, InitialisesOnceMoreOnTheFunctionsTimeAfterTenSeconds) {
  Use([](FakeProcessPtr) -> Task<void> { co_return; });  // never ready
  Run([&]() -> Task<void> {
    auto answer = Call();
    EXPECT_TRUE(co_await Until([&] { return host_->processes.size() == 1; }));
    co_await Turns(20);
    clock_.Advance(milliseconds(9'990));
    service_->Tick();
    co_await Turns(20);
    EXPECT_EQ(host_->processes.size(), 1u);
    clock_.Advance(milliseconds(20));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return host_->processes.size() == 2; }));
    EXPECT_TRUE(host_->processes[0]->exit.has_value());
    co_await Turns(20);
    EXPECT_FALSE(answer->has_value());
    clock_.Advance(milliseconds(3'010));
    service_->Tick();
    auto result = co_await Done(answer);
    CHECK(result.has_value());
    EXPECT_EQ(result->error_type, "Sandbox.Timedout");
    co_await End();
  });
}

TEST_F(InstanceServiceTest, SaysWhyThereIsNoSandbox) {
  Use(Echo());
  host_->refuse = Error{Code::kUnavailable, "the spawner is gone"};
  Run([&]() -> Task<void> {
    std::vector<Answer> answers;
    for (int i = 0; i < 50; ++i) answers.push_back(Call());
    for (auto& answer : answers) {
      auto result = co_await Done(answer);
      CHECK(!result.has_value());
      EXPECT_EQ(result.error().code, Code::kUnavailable);
      EXPECT_EQ(result.error().message, "the spawner is gone");
    }
    host_->refuse.reset();
    EXPECT_TRUE(co_await Done(Call()));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, AnswersAThousandAtOnceFromZeroWithinItsBounds) {
  options_.memory_budget = Bytes::MiB(600);
  Use(Echo());
  Run([&]() -> Task<void> {
    std::vector<Answer> answers;
    for (int i = 0; i < 1000; ++i) answers.push_back(Call(std::to_string(i)));
    co_await Turns(1);
    for (int i = 0; i < 1000; ++i) {
      auto result = co_await Done(answers[static_cast<std::size_t>(i)]);
      CHECK(result.has_value());
      EXPECT_EQ(result->payload, std::to_string(i));
      EXPECT_LE(service_->MemoryInUse(), options_.memory_budget);
    }
    EXPECT_LE(host_->processes.size(), 30u);
    EXPECT_EQ(service_->Queued(), 0u);
    EXPECT_EQ(service_->Running(), 0);
    co_await End();
  });
}

TEST_F(InstanceServiceTest, StartsNoMoreAtATimeThanItMay) {
  Use([](FakeProcessPtr) -> Task<void> { co_return; });  // never ready
  Run([&]() -> Task<void> {
    for (int i = 0; i < 100; ++i) Call();
    co_await Turns(50);
    EXPECT_EQ(host_->processes.size(), 4u);
    co_await End();
  });
}

TEST_F(InstanceServiceTest, LetsAFunctionAtZeroStartWhileAnothersStartsTakeLong) {
  Use([](FakeProcessPtr) -> Task<void> { co_return; });  // never ready
  Run([&]() -> Task<void> {
    for (int i = 0; i < 100; ++i) Call();
    for (int i = 0; i < 10; ++i) Call("{}", "g");
    auto after = [&](milliseconds wait) -> Task<std::size_t> {
      clock_.Advance(wait);
      service_->Tick();
      co_await Turns(20);
      co_return host_->processes.size();
    };
    EXPECT_EQ(co_await after(milliseconds(990)), 4u);
    EXPECT_EQ(co_await after(milliseconds(20)), 5u);
    EXPECT_EQ(co_await after(milliseconds(1'100)), 5u);  // neither is at zero now
    auto list = service_->Instances();
    EXPECT_EQ(std::ranges::count(list, "g", &InstanceStatus::function), 1);
    co_await End();
  });
}

TEST_F(InstanceServiceTest, RefusesWhatTheLineCannotHoldAndWhoWaitedTooLong) {
  options_.queue_per_function = 3;
  Use([](FakeProcessPtr) -> Task<void> { co_return; });
  Run([&]() -> Task<void> {
    std::vector<Answer> answers;
    for (int i = 0; i < 4; ++i) answers.push_back(Call());
    auto full = co_await Done(answers[3]);
    CHECK(!full.has_value());
    EXPECT_EQ(full.error().code, Code::kOverloaded);
    clock_.Advance(seconds(61));
    service_->Tick();
    auto late = co_await Done(answers[0]);
    CHECK(!late.has_value());
    EXPECT_EQ(late.error().code, Code::kOverloaded);
    EXPECT_EQ(service_->Queued(), 0u);
    co_await End();
  });
}

TEST_F(InstanceServiceTest, EndsIdleInstancesAfterTheirKeepAlive) {
  options_.keep_alive.fixed = seconds(30);
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    clock_.Advance(seconds(29));
    service_->Tick();
    co_await Turns(20);
    EXPECT_EQ(host_->Living(), 1);
    clock_.Advance(seconds(2));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    EXPECT_EQ(host_->processes[0]->exit->signal, 0);  // it was asked, and ended by itself
    EXPECT_TRUE(co_await Done(Call()));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, KillsAnInstanceThatDoesNotEndWhenAsked) {
  options_.keep_alive.fixed = seconds(30);
  Use([](FakeProcessPtr process) -> Task<void> {
    co_await process->Send(FrameType::kReady, "", "");
    (void)co_await process->channel.Read();
    co_await process->Send(FrameType::kResponse, "", "1");
  });
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    clock_.Advance(seconds(31));
    service_->Tick();
    co_await Turns(20);
    EXPECT_EQ(host_->Living(), 1);
    clock_.Advance(milliseconds(2100));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, EvictsTheLeastRecentlyUsedOfOthersWhenMemoryIsShort) {
  options_.memory_budget = Bytes::MiB(90);  // one of 64, guessed, beside one of 20
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call("1", "a")));
    clock_.Advance(seconds(1));
    EXPECT_TRUE(co_await Done(Call("1", "b")));
    clock_.Advance(seconds(1));
    EXPECT_TRUE(co_await Done(Call("1", "c")));
    auto list = service_->Instances();
    std::string left;
    for (auto& status : list) {
      if (status.state == "idle") left += status.function;
    }
    EXPECT_EQ(left, "bc");
    co_await End();
  });
}

TEST_F(InstanceServiceTest, LetsAFunctionAtZeroInWhereAnotherHoldsAllMemory) {
  options_.memory_budget = Bytes::MiB(130);
  options_.starts_at_a_time = 8;
  Use(Echo());
  Run([&]() -> Task<void> {
    std::vector<Answer> busy;
    for (int i = 0; i < 200; ++i) busy.push_back(Call("1", "a"));
    co_await Turns(3);
    auto other = Call("2", "b");
    EXPECT_TRUE(co_await Done(other));
    for (auto& answer : busy) EXPECT_TRUE(co_await Done(answer));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, RefusesPastTheReservationWithLambdasReason) {
  Use([](FakeProcessPtr) -> Task<void> { co_return; });
  Run([&]() -> Task<void> {
    auto first = Call("1", "f", 1);
    auto second = co_await Done(Call("1", "f", 1));
    CHECK(!second.has_value());
    EXPECT_EQ(second.error().code, Code::kThrottled);
    EXPECT_EQ(second.error().reason, "ReservedFunctionConcurrentInvocationLimitExceeded");
    EXPECT_EQ(books_->List().front()->throttles, 1u);
    EXPECT_FALSE(first->has_value());
    co_await End();
  });
}

TEST_F(InstanceServiceTest, RetiresAVersionAfterItsLastCall) {
  Use(Runtime([](FakeProcess& process, std::string event) -> Task<void> {
    if (event != "\"hang\"") co_await process.Send(FrameType::kResponse, "", std::move(event));
  }));
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    service_->Retire(Of("f")->Key());
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    service_->Tick();
    // A call that was resolved before the update is still answered, and leaves nothing behind.
    auto busy = Call("\"hang\"");
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 1; }));
    co_await Turns(20);
    service_->Retire(Of("f")->Key());
    co_await Turns(20);
    EXPECT_EQ(host_->Living(), 1);
    co_await host_->processes[1]->Send(FrameType::kResponse, "", "9");
    auto result = co_await Done(busy);
    CHECK(result.has_value());
    EXPECT_EQ(result->payload, "9");
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, GivesAnEventToAnotherInstanceWhenAnIdleOneJustEnded) {
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    host_->processes[0]->Exit(ExitedWith(3));
    auto result = co_await Done(Call("\"again\""));
    CHECK(result.has_value());
    EXPECT_EQ(result->payload, "\"again\"");
    EXPECT_EQ(host_->processes.size(), 2u);
    co_await End();
  });
}

TEST_F(InstanceServiceTest, EndsAnInstanceThatBreaksTheProtocol) {
  Use(Runtime([](FakeProcess& process, std::string) -> Task<void> {
    co_await process.Send(FrameType::kReady, "", "");  // out of turn
  }));
  Run([&]() -> Task<void> {
    auto answer = Call();
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 1; }));
    co_await Turns(50);
    clock_.Advance(milliseconds(600));
    service_->Tick();
    auto result = co_await Done(answer);
    CHECK(result.has_value());
    EXPECT_EQ(result->error_type, "Runtime.ExitError");
    EXPECT_THAT(result->log_tail, HasSubstr("a frame of type 16 out of turn"));
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, DrainsTheRunningAndRefusesTheNew) {
  Use(Runtime([](FakeProcess&, std::string) -> Task<void> { co_return; }));
  Run([&]() -> Task<void> {
    auto running = Call();
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 1; }));
    co_await Turns(20);
    auto drained = Beside([&]() -> Task<bool> {
      co_await service_->Drain(Deadline::After(clock_, seconds(10)));
      co_return true;
    }());
    co_await Turns(5);
    auto refused = co_await Done(Call());
    CHECK(!refused.has_value());
    EXPECT_EQ(refused.error().code, Code::kUnavailable);
    EXPECT_FALSE(drained->has_value());
    co_await host_->processes[0]->Send(FrameType::kResponse, "", "5");
    auto result = co_await Done(running);
    CHECK(result.has_value());
    EXPECT_EQ(result->payload, "5");
    EXPECT_TRUE(co_await Until([&] { return drained->has_value(); }));
    EXPECT_EQ(host_->Living(), 0);
    co_await logs_->Stop();
  });
}

}  // namespace
}  // namespace samovar
