// Instances that take several calls at a time: how they are filled, and what a call's end means to
// those beside it.

#include <gmock/gmock.h>

#include "instances/service_fixture.h"

namespace samovar {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

struct Asked {
  FakeProcess* process;
  std::string id;
  std::string event;
};

// A runtime that takes `capacity` calls at a time, and answers as the test says.
FakeProgram Several(int capacity, std::function<Task<void>(Asked asked)> handle) {
  return [capacity, handle](FakeProcessPtr process) -> Task<void> {
    std::string ready("fake\0", 5);
    co_await process->Send(FrameType::kReady, ready + std::to_string(capacity), "");
    while (true) {
      auto frame = co_await process->channel.Read();
      if (!frame) co_return;
      if (static_cast<FrameType>(frame->type) == FrameType::kShutdown) {
        process->Exit({});
        co_return;
      }
      std::string id(MetaField(frame->meta, 0));
      co_await handle({process.get(), std::move(id), std::move(frame->payload)});
    }
  };
}

class SeveralCallsTest : public InstanceServiceTest {
 protected:
  // Answers nothing until the test does.
  void UseHolding(int capacity) {
    Use(Several(capacity, [this](Asked asked) -> Task<void> {
      held_.push_back(asked);
      co_return;
    }));
  }

  static Task<void> Respond(Asked asked, FrameType type = FrameType::kResponse,
                            std::string first = "", std::string payload = "") {
    std::string meta = first + std::string(1, '\0') + asked.id;
    co_await asked.process->Send(type, std::move(meta), payload.empty() ? asked.event : payload);
  }

  // One call first, so that the pool knows how many an instance takes.
  Task<void> Begin() {
    auto answer = Call("\"first\"");
    (void)co_await Inside(1);
    co_await Respond(held_[0]);
    EXPECT_TRUE(co_await Done(answer));
    held_.clear();
    calls_ = 0;
  }

  // Waits until so many calls are inside, and says how many each process holds.
  Task<std::vector<int>> Inside(std::size_t calls) {
    EXPECT_TRUE(co_await Until([&] {
      if (held_.size() < calls) {
        clock_.Advance(milliseconds(1));
        service_->Tick();
      }
      return held_.size() == calls;
    })) << held_.size();
    std::vector<int> counts;
    for (const auto& process : host_->processes) {
      counts.push_back(static_cast<int>(std::ranges::count_if(
          held_, [&](const Asked& asked) { return asked.process == process.get(); })));
    }
    co_return counts;
  }

  Asked Held(std::string_view event) const {
    const auto found = std::ranges::find(held_, event, &Asked::event);
    CHECK(found != held_.end());
    return *found;
  }

  std::vector<Asked> held_;
};

TEST_F(SeveralCallsTest, FillsAnInstanceBeforeItUsesAnother) {
  UseHolding(3);
  Run([&]() -> Task<void> {
    std::vector<Answer> answers;
    answers.push_back(Call("0"));
    (void)co_await Inside(1);
    for (int i = 1; i < 3; ++i) answers.push_back(Call(std::to_string(i)));
    EXPECT_THAT(co_await Inside(3), testing::ElementsAre(3));
    for (int i = 3; i < 7; ++i) answers.push_back(Call(std::to_string(i)));
    EXPECT_THAT(co_await Inside(7), testing::ElementsAre(3, 3, 1));
    // A place that gets free in a full one is used before the emptier one's.
    co_await Respond(held_[0]);
    EXPECT_TRUE(co_await Done(answers[0]));
    answers.push_back(Call("7"));
    EXPECT_THAT((co_await Inside(8)).front(), 4);  // one of these has its answer
    for (std::size_t i = 1; i < held_.size(); ++i) co_await Respond(held_[i]);
    for (std::size_t i = 1; i < answers.size(); ++i) {
      auto result = co_await Done(answers[i]);
      CHECK(result.has_value());
      EXPECT_EQ(result->payload, std::to_string(i));  // each its own
    }
    EXPECT_EQ(books_->List().front()->invocations, 8u);
    EXPECT_EQ(books_->List().front()->cold_starts, 3u);
    co_await End();
  });
}

TEST_F(SeveralCallsTest, GivesAnswersThatComeInAnyOrderToTheirCalls) {
  UseHolding(8);
  Run([&]() -> Task<void> {
    co_await Begin();
    std::vector<Answer> answers;
    for (int i = 0; i < 8; ++i) answers.push_back(Call(std::to_string(i)));
    EXPECT_THAT(co_await Inside(8), testing::ElementsAre(8));
    held_[0].process->Print("printed meanwhile\n");
    co_await Respond({held_[0].process, "id-nobody", "99"});  // nobody waits for it
    for (std::size_t i = held_.size(); i-- > 0;) co_await Respond(held_[i]);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      auto result = co_await Done(answers[i]);
      CHECK(result.has_value());
      EXPECT_EQ(result->payload, std::to_string(i));
      const auto id = "id-" + std::to_string(i + 1);
      EXPECT_TRUE(result->log_tail.starts_with("START RequestId: " + id)) << result->log_tail;
      EXPECT_THAT(result->log_tail, HasSubstr("printed meanwhile\nEND RequestId: " + id)) << i;
      EXPECT_THAT(result->log_tail, HasSubstr("REPORT RequestId: " + id)) << i;
      EXPECT_EQ(std::ranges::count(result->log_tail, '\n'), 4) << result->log_tail;
    }
    auto kept = co_await logs_->Read("f", {});
    CHECK(kept.has_value());
    for (int i = 1; i <= 8; ++i) {
      for (const char* word : {"START", "END", "REPORT"}) {
        const auto line = word + std::string(" RequestId: id-") + std::to_string(i);
        EXPECT_EQ(std::ranges::count_if(
                      *kept, [&](const auto& event) { return event.message.starts_with(line); }),
                  i == 1 ? 2 : 1)  // the one before had the same id
            << line;
      }
    }
    co_await End();
  });
}

TEST_F(SeveralCallsTest, RepeatsTheNeighboursOfACallThatEndsItsInstance) {
  Use(Several(8, [this](Asked asked) -> Task<void> {
    held_.push_back(asked);
    if (held_.size() < 4) co_return;
    if (asked.event == "\"bad\"") {
      asked.process->Exit(ExitedWith(1));
    } else if (held_.size() == 4) {  // all are inside
      asked.process->Exit(ExitedWith(3));
    } else {
      co_await Respond(asked);
    }
  }));
  Run([&]() -> Task<void> {
    std::vector<std::string> events{"\"a\"", "\"bad\"", "\"c\"", "\"d\""};
    std::vector<Answer> answers;
    for (const auto& event : events) answers.push_back(Call(event));
    for (std::size_t i = 0; i < events.size(); ++i) {
      while (!answers[i]->has_value()) {
        clock_.Advance(milliseconds(1));
        service_->Tick();
        co_await Turns(5);
      }
      auto result = **answers[i];
      CHECK(result.has_value());
      if (i == 1) {
        EXPECT_EQ(result->error_type, "Runtime.ExitError");
        EXPECT_THAT(result->payload, HasSubstr("exit status 1"));
      } else {
        EXPECT_EQ(result->payload, events[i]);
        EXPECT_EQ(result->function_error, "");
      }
    }
    EXPECT_EQ(held_.size(), 8u);  // each was tried again, once
    EXPECT_EQ(books_->List().front()->invocations, 4u);
    EXPECT_EQ(books_->List().front()->errors, 1u);
    co_await End();
  });
}

TEST_F(SeveralCallsTest, RunsARepeatedCallAlone) {
  UseHolding(8);
  Run([&]() -> Task<void> {
    auto first = Call("1");
    auto second = Call("2");
    (void)co_await Inside(2);
    held_[0].process->Exit(ExitedWith(1));
    // Two instances of their own, or one after the other; never together, nor with a third.
    auto third = Call("3");
    (void)co_await Inside(3);
    while (!(first->has_value() && second->has_value() && third->has_value())) {
      clock_.Advance(milliseconds(1));
      service_->Tick();
      co_await Turns(5);
      for (const auto& process : host_->processes) {
        std::vector<Asked> now;
        for (const auto& asked : held_) {
          if (asked.process == process.get() && !process->exit) now.push_back(asked);
        }
        const bool repeated = std::ranges::any_of(now, [](auto& a) { return a.event != "3"; });
        if (repeated) EXPECT_EQ(now.size(), 1u);
        for (const auto& asked : now) {
          co_await Respond(asked);
          std::erase_if(held_, [&](const Asked& a) {
            return a.id == asked.id && a.process == asked.process;
          });
        }
      }
    }
    EXPECT_EQ((**first)->payload, "1");
    EXPECT_EQ((**second)->payload, "2");
    EXPECT_EQ((**third)->payload, "3");
    co_await End();
  });
}

TEST_F(SeveralCallsTest, GoesOnWhereTheRuntimeItselfEndsOneWhoseTimeIsUp) {
  UseHolding(8);
  Run([&]() -> Task<void> {
    co_await Begin();
    auto slow = Call("\"slow\"");
    auto quick = Call("\"quick\"");
    (void)co_await Inside(2);
    clock_.Advance(milliseconds(2980));
    co_await Respond(Held("\"slow\""), FrameType::kError, "Sandbox.Timedout", "{}");
    auto result = co_await Done(slow);
    CHECK(result.has_value());
    EXPECT_EQ(result->error_type, "Sandbox.Timedout");
    EXPECT_EQ(result->payload,
              "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: id-1 Error: Task "
              "timed out after 3.00 seconds\"}");
    EXPECT_EQ(result->duration, seconds(3));
    EXPECT_THAT(result->log_tail, HasSubstr("Status: timeout"));
    EXPECT_FALSE(quick->has_value());
    co_await Respond(Held("\"quick\""));
    auto other = co_await Done(quick);
    CHECK(other.has_value());
    EXPECT_EQ(other->payload, "\"quick\"");
    EXPECT_EQ(host_->processes.size(), 1u);
    EXPECT_EQ(books_->List().front()->timeouts, 1u);
    EXPECT_EQ(books_->List().front()->errors, 1u);
    EXPECT_TRUE(co_await Until([&] { return service_->Instances()[0].state == "idle"; }));
    co_await End();
  });
}

TEST_F(SeveralCallsTest, EndsOnlyTheCallWhoseTimeIsUpWhereTheRuntimeHangs) {
  UseHolding(8);
  Run([&]() -> Task<void> {
    auto slow = Call("\"slow\"");
    (void)co_await Inside(1);
    clock_.Advance(seconds(2));
    auto later = Call("\"later\"");
    (void)co_await Inside(2);
    clock_.Advance(milliseconds(1001));
    service_->Tick();
    auto result = co_await Done(slow);
    CHECK(result.has_value());
    EXPECT_EQ(result->error_type, "Sandbox.Timedout");
    (void)co_await Inside(3);  // once more, in another instance
    EXPECT_NE(held_[2].process, held_[0].process);
    EXPECT_EQ(held_[2].event, "\"later\"");
    co_await Respond(held_[2]);
    auto other = co_await Done(later);
    CHECK(other.has_value());
    EXPECT_EQ(other->payload, "\"later\"");
    EXPECT_EQ(books_->List().front()->timeouts, 1u);
    EXPECT_EQ(books_->List().front()->invocations, 2u);
    co_await End();
  });
}

TEST_F(SeveralCallsTest, CountsEachCallAgainstTheReservation) {
  UseHolding(64);
  Run([&]() -> Task<void> {
    auto first = Call("1", "f", 2);
    auto second = Call("2", "f", 2);
    (void)co_await Inside(2);
    auto third = co_await Done(Call("3", "f", 2));
    CHECK(!third.has_value());
    EXPECT_EQ(third.error().code, Code::kThrottled);
    EXPECT_EQ(books_->List().front()->throttles, 1u);
    for (const auto& asked : held_) co_await Respond(asked);
    EXPECT_TRUE(co_await Done(first));
    EXPECT_TRUE(co_await Done(second));
    auto fourth = Call("4", "f", 2);
    (void)co_await Inside(3);
    co_await Respond(held_.back());
    EXPECT_TRUE(co_await Done(fourth));
    co_await End();
  });
}

TEST_F(SeveralCallsTest, GivesWayToAnotherFunctionOnlyWhenAllItsCallsAreDone) {
  options_.memory_budget = Bytes::MiB(70);  // one, guessed at 64
  UseHolding(8);
  Run([&]() -> Task<void> {
    auto first = Call("1", "a");
    auto second = Call("2", "a");
    (void)co_await Inside(2);
    auto other = Call("3", "b");
    clock_.Advance(seconds(2));  // b has been starved for long
    service_->Tick();
    co_await Turns(20);
    co_await Respond(Held("1"));
    EXPECT_TRUE(co_await Done(first));
    co_await Turns(20);
    EXPECT_EQ(host_->processes.size(), 1u);
    EXPECT_FALSE(host_->processes[0]->exit.has_value());
    auto late = Call("4", "a");  // must not keep it for ever
    co_await Respond(Held("2"));
    auto result = co_await Done(second);
    CHECK(result.has_value());
    EXPECT_EQ(result->payload, "2");
    while (!(other->has_value() && late->has_value())) {
      clock_.Advance(milliseconds(50));
      service_->Tick();
      co_await Turns(5);
      auto now = std::exchange(held_, {});
      for (const auto& asked : now) {
        if (!asked.process->exit) co_await Respond(asked);
      }
    }
    EXPECT_EQ((**other)->payload, "3");
    EXPECT_EQ((**late)->payload, "4");
    co_await End();
  });
}

TEST_F(SeveralCallsTest, EndsAnInstanceThatAnswersWhatItWasNotAsked) {
  UseHolding(8);
  Run([&]() -> Task<void> {
    auto answer = Call("1");
    (void)co_await Inside(1);
    co_await Respond(held_[0], FrameType::kStreamChunk);  // of a stream that has not begun
    co_await Turns(50);
    clock_.Advance(milliseconds(600));
    service_->Tick();
    auto result = co_await Done(answer);
    CHECK(result.has_value());
    EXPECT_EQ(result->error_type, "Runtime.ExitError");
    EXPECT_THAT(result->log_tail, HasSubstr("a frame of type 21 out of turn"));
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    co_await End();
  });
}

TEST_F(SeveralCallsTest, RetiresAVersionAfterTheLastOfSeveral) {
  UseHolding(8);
  Run([&]() -> Task<void> {
    auto first = Call("1");
    auto second = Call("2");
    (void)co_await Inside(2);
    service_->Retire(Of("f")->Key());
    co_await Respond(held_[0]);
    EXPECT_TRUE(co_await Done(first));
    co_await Turns(20);
    EXPECT_EQ(host_->Living(), 1);
    co_await Respond(held_[1]);
    EXPECT_TRUE(co_await Done(second));
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    EXPECT_EQ(host_->processes[0]->exit->signal, 0);  // it was asked
    co_await End();
  });
}

}  // namespace
}  // namespace samovar
