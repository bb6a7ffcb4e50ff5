// Templates, clones and spares in an InstanceService over fake sandboxes.

#include <gmock/gmock.h>

#include "instances/clones_fixture.h"

namespace samovar {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST_F(ClonesTest, MakesTheTemplateAtTheFirstCallAndClonesItForEachInstance) {
  Use(Echo());
  Run([&]() -> Task<void> {
    auto first = co_await Done(Call("\"a\""));
    CHECK(first.has_value());
    EXPECT_EQ(first->payload, "\"a\"");
    EXPECT_EQ(first->start, StartKind::kClone);
    EXPECT_TRUE(first->init.has_value());
    CHECK(host_->processes.size() >= 2);
    const auto& made = *host_->processes[0];
    const auto& clone = *host_->processes[1];
    EXPECT_TRUE(made.spec.clonable);
    EXPECT_FALSE(made.cpu_limited);  // it forks with all the share it can get
    EXPECT_EQ(clone.parent, &made);
    EXPECT_TRUE(clone.cpu_limited);
    EXPECT_THAT(clone.clone_env, Contains("ID=" + clone.spec.id));
    EXPECT_EQ(Status().stage, "clonable");
    EXPECT_EQ(InState("template"), 1);
    auto second = co_await Done(Call("\"b\""));
    CHECK(second.has_value());
    EXPECT_EQ(second->start, StartKind::kWarm);
    EXPECT_EQ(Count(&Account::cold_starts), 1u);
    EXPECT_EQ(Count(&Account::clones), 1u);
    co_await End();
  });
}

TEST_F(ClonesTest, LetsTheWholeFirstBurstWaitForOneTemplate) {
  Use(Echo());
  Run([&]() -> Task<void> {
    std::vector<Answer> answers;
    for (int i = 0; i < 50; ++i) answers.push_back(Call());
    for (auto& answer : answers) EXPECT_TRUE(co_await Done(answer));
    std::ptrdiff_t fresh =
        std::ranges::count(host_->processes, nullptr, [](auto& p) { return p->parent; });
    EXPECT_EQ(fresh, 1);
    co_await End();
  });
}

TEST_F(ClonesTest, UsesAProcessThatCannotBeClonedAsTheFirstInstanceAndKeepsTheReason) {
  Use(Echo());
  host_->not_clonable = R"({"clonable":false,"reasons":[{"problem":"p","remedy":"r"}]})";
  Run([&]() -> Task<void> {
    auto first = co_await Done(Call());
    CHECK(first.has_value());
    EXPECT_EQ(first->start, StartKind::kFresh);
    EXPECT_EQ(host_->processes.size(), 1u);
    EXPECT_EQ(Status().stage, "not clonable");
    EXPECT_EQ(Status().obstacles, (std::vector<CloneObstacle>{{"p", "r"}}));
    EXPECT_EQ(service_->Instances().at(0).kind, "fresh");
    // The next ones start afresh, and are not asked to be templates.
    host_->processes[0]->Exit(ExitedWith(0));
    EXPECT_TRUE(co_await Done(Call()));
    EXPECT_FALSE(host_->processes[1]->spec.clonable);
    EXPECT_THAT(host_->processes[1]->spec.env, Not(Contains("SAMOVAR_TEMPLATE=1")));
    co_await End();
  });
}

TEST_F(ClonesTest, StartsAfreshWhereCloningFails) {
  Use(Echo());
  Run([&]() -> Task<void> {
    host_->refuse_clones = Error{Code::kUnavailable, "it took too long"};
    auto result = co_await Done(Call("1"));
    CHECK(result.has_value());
    EXPECT_EQ(result->payload, "1");
    EXPECT_EQ(result->start, StartKind::kFresh);
    EXPECT_EQ(Status().stage, "clonable");  // once is chance
    co_await End();
  });
}

TEST_F(ClonesTest, GivesUpATemplateWhoseHostSaysThatItCannotBeCloned) {
  Use(Echo());
  Run([&]() -> Task<void> {
    host_->refuse_clones = Error{Code::kUnsupported, "/tmp holds 70 MB"};
    EXPECT_TRUE(co_await Done(Call()));
    EXPECT_EQ(Status().stage, "not clonable");
    EXPECT_EQ(Status().obstacles.at(0).problem, "/tmp holds 70 MB");
    EXPECT_TRUE(co_await Until([&] { return host_->processes[0]->exit.has_value(); }));
    co_await End();
  });
}

TEST_F(ClonesTest, StartsAfreshWhereACloneBreaksBeforeItIsReady) {
  Use([](FakeProcessPtr process) -> Task<void> {
    if (process->parent) {
      process->Exit(KilledBy(6));
      co_return;
    }
    co_await Echo()(process);
  });
  Run([&]() -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      auto result = co_await Done(Call("7"));
      CHECK(result.has_value());
      EXPECT_EQ(result->payload, "7");
      EXPECT_EQ(result->function_error, "");
      for (auto& process : host_->processes) {
        if (!process->spec.clonable) process->Exit(ExitedWith(0));  // the fresh one
      }
      EXPECT_TRUE(co_await Until([&] { return InState("idle") == 0; }));
    }
    EXPECT_EQ(Status().stage, "not clonable");
    EXPECT_THAT(Status().obstacles.at(0).problem, HasSubstr("before they are ready"));
    co_await End();
  });
}

TEST_F(ClonesTest, AnswersTheErrorOfARestoreHookAsSnapStartDoes) {
  version_.snap_start = true;
  version_.number = "1";
  Use([](FakeProcessPtr process) -> Task<void> {
    if (process->parent) {
      co_await process->Send(FrameType::kInitError, "ValueError", "{\"errorMessage\":\"hook\"}");
      process->Exit(ExitedWith(1));
      co_return;
    }
    co_await Echo()(process);
  });
  Run([&]() -> Task<void> {
    auto result = co_await Done(Call());
    CHECK(!result.has_value());
    EXPECT_EQ(result.error().name, "SnapStartException");
    co_await End();
  });
}

TEST_F(ClonesTest, ReportsARestoreForAVersionWithSnapStart) {
  version_.snap_start = true;
  version_.number = "1";
  Use(Echo());
  Run([&]() -> Task<void> {
    auto prepared = Beside(service_->Prepare(Of("f")));
    CHECK(co_await Until([&] { return prepared->has_value(); }));
    EXPECT_TRUE(prepared->value());
    EXPECT_EQ(Status().stage, "clonable");
    EXPECT_THAT(host_->processes[0]->spec.env,
                Contains("AWS_LAMBDA_INITIALIZATION_TYPE=snap-start"));
    auto result = co_await Done(Call());
    CHECK(result.has_value());
    EXPECT_THAT(result->log_tail, HasSubstr("Restore Duration: "));
    EXPECT_THAT(result->log_tail, HasSubstr("Billed Restore Duration: "));
    EXPECT_THAT(result->log_tail, Not(HasSubstr("Init Duration")));
    co_await End();
  });
}

TEST_F(ClonesTest, SaysWhyAVersionCannotBePrepared) {
  struct Case {
    std::string_view name;
    FakeProgram program;
    Code code;
  };
  const Case cases[] = {
      {"its code fails",
       [](FakeProcessPtr process) -> Task<void> {
         co_await process->Send(FrameType::kInitError, "ImportError", "{\"errorMessage\":\"no\"}");
         process->Exit(ExitedWith(1));
       },
       Code::kInvalid},
      {"out of memory",
       [](FakeProcessPtr process) -> Task<void> {
         process->Exit(KilledBy(9, true));
         co_return;
       },
       Code::kTooLarge},
      {"never ready", [](FakeProcessPtr) -> Task<void> { co_return; }, Code::kTimeout},
  };
  for (const Case& c : cases) {
    ClonesTest_SaysWhyAVersionCannotBePrepared_Test fresh;
    fresh.Use(c.program);
    fresh.Run([&]() -> Task<void> {
      auto prepared = fresh.Beside(fresh.service_->Prepare(fresh.Of("f")));
      co_await fresh.Turns(50);
      if (c.code == Code::kTimeout) fresh.clock_.Advance(seconds(131));
      fresh.service_->Tick();
      CHECK(co_await fresh.Until([&] { return prepared->has_value(); }));
      CHECK(!prepared->value().has_value());
      EXPECT_EQ(prepared->value().error().code, c.code) << c.name;
      co_await fresh.End();
    });
  }
}

TEST_F(ClonesTest, ReportsWhatTheCallerWaitedForTemplateAndClone) {
  Use([&](FakeProcessPtr process) -> Task<void> {
    clock_.Advance(process->parent ? milliseconds(6) : milliseconds(1600));
    co_await Echo()(process);
  });
  Run([&]() -> Task<void> {
    auto first = co_await Done(Call());
    CHECK(first.has_value());
    EXPECT_EQ(*first->init, milliseconds(1606));
    host_->processes[1]->Exit(ExitedWith(0));
    EXPECT_TRUE(co_await Until([&] { return InState("idle") == 0; }));
    auto second = co_await Done(Call());
    CHECK(second.has_value());
    EXPECT_EQ(*second->init, milliseconds(6));
    co_await End();
  });
}

TEST_F(ClonesTest, GivesACallAtZeroASpareAndMakesANewOneBehindIt) {
  options_.keep_alive.fixed = seconds(30);
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    EXPECT_TRUE(co_await Spares(1));
    clock_.Advance(seconds(31));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return InState("idle") == 0; }));
    EXPECT_EQ(Status().spares, 1u);  // a spare does not end by keep-alive
    int before = Clones();
    auto result = co_await Done(Call());
    CHECK(result.has_value());
    EXPECT_EQ(result->start, StartKind::kSpare);
    EXPECT_EQ(*result->init, seconds(0));
    EXPECT_EQ(Count(&Account::spares), 1u);
    EXPECT_TRUE(co_await Spares(1));
    EXPECT_EQ(Clones(), before + 1);
    co_await End();
  });
}

TEST_F(ClonesTest, KeepsAsManySparesAsABurstWantedWithinItsShareOfMemory) {
  options_.keep_alive.fixed = seconds(30);
  for (auto [budget, spares] : {std::pair(Bytes::GiB(4), 6u), {Bytes::MiB(200), 3u}}) {
    ClonesTest_KeepsAsManySparesAsABurstWantedWithinItsShareOfMemory_Test fresh;
    fresh.options_ = options_;
    fresh.options_.memory_budget = budget;
    fresh.Use(Echo());
    fresh.Run([&]() -> Task<void> {
      std::vector<Answer> burst;
      for (int i = 0; i < 6; ++i) burst.push_back(fresh.Call());
      for (auto& answer : burst) EXPECT_TRUE(co_await fresh.Done(answer));
      fresh.clock_.Advance(seconds(31));
      fresh.service_->Tick();
      EXPECT_TRUE(co_await fresh.Until([&] { return fresh.InState("idle") == 0; }));
      (void)co_await fresh.Spares(spares);
      for (int i = 0; i < 20; ++i) fresh.service_->Tick();
      co_await fresh.Turns(50);
      EXPECT_EQ(fresh.Status().spares, spares);
      co_await fresh.End();
    });
  }
}

TEST_F(ClonesTest, KeepsNoSpareWhereNoneIsAllowed) {
  options_.max_spares = 0;
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    for (int i = 0; i < 20; ++i) service_->Tick();
    co_await Turns(50);
    EXPECT_EQ(Status().stage, "clonable");
    EXPECT_EQ(Clones(), 1);  // the one that serves
    co_await End();
  });
}

TEST_F(ClonesTest, MakesATemplateAgainThatWasKilled) {
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    EXPECT_TRUE(co_await Spares(1));
    auto count = host_->processes.size();
    host_->processes[0]->Exit(KilledBy(9));
    EXPECT_TRUE(co_await Until([&] { return Status().stage == "none"; }));
    service_->Tick();
    EXPECT_EQ(host_->processes.size(), count);
    EXPECT_TRUE(co_await Done(Call()));  // what was cloned lives on
    clock_.Advance(milliseconds(1001));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return Status().stage == "clonable"; }));
    EXPECT_TRUE(host_->processes[count]->spec.clonable);
    co_await End();
  });
}

TEST_F(ClonesTest, EndsTheTemplateOfAVersionThatIsReplaced) {
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    EXPECT_TRUE(co_await Spares(1));
    service_->Retire(Of("f")->Key());
    EXPECT_TRUE(co_await Until([&] { return service_->MemoryInUse() == Bytes{}; }));
    EXPECT_EQ(host_->Living(), 0);
    service_->Tick();
    EXPECT_TRUE(service_->Templates().empty());
    co_await End();
  });
}

TEST_F(ClonesTest, DropsTheTemplateOfAFunctionThatNobodyCalls) {
  options_.keep_alive.fixed = seconds(30);
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    EXPECT_TRUE(co_await Spares(1));
    clock_.Advance(hours(4));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return InState("idle") == 0; }));
    EXPECT_EQ(Status().stage, "clonable");
    clock_.Advance(minutes(1));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    EXPECT_TRUE(co_await Done(Call()));
    co_await End();
  });
}

TEST_F(ClonesTest, DropsSparesThenTemplatesOfIdleFunctionsThenIdleInstances) {
  options_.keep_alive.fixed = seconds(30);
  options_.memory_budget = Bytes::MiB(140);
  Use(Echo());
  Run([&]() -> Task<void> {
    // "a" is at zero with template and spare; "b" has an idle instance as well.
    EXPECT_TRUE(co_await Done(Call("1", "a")));
    EXPECT_TRUE(co_await Spares(1, "a"));
    clock_.Advance(seconds(31));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return InState("idle", "a") == 0; }));
    EXPECT_TRUE(co_await Done(Call("1", "b")));
    auto state = [&] {
      std::string text;
      for (const char* name : {"a", "b"}) {
        text += std::string(name) + ":" + std::to_string(Status(name).spares) +
                (Status(name).stage == "clonable" ? "t" : "-") +
                std::to_string(InState("idle", name)) + " ";
      }
      return text;
    };
    EXPECT_EQ(state(), "a:1t0 b:0t1 ");
    auto shrink = [&](Bytes budget) -> Task<void> {
      service_->SetMemoryBudget(budget);
      service_->Tick();
      co_await Turns(50);
    };
    co_await shrink(Bytes::MiB(48));
    EXPECT_EQ(state(), "a:0t0 b:0t1 ");
    co_await shrink(Bytes::MiB(30));
    EXPECT_EQ(state(), "a:0-0 b:0t1 ");
    co_await shrink(Bytes::MiB(25));
    EXPECT_EQ(state(), "a:0-0 b:0t0 ");
    co_await shrink(Bytes::MiB(10));
    EXPECT_EQ(state(), "a:0-0 b:0-0 ");
    co_await End();
  });
}

TEST_F(ClonesTest, RunsAFunctionAfreshWhoseTemplateLeavesNoRoomForAClone) {
  options_.memory_budget = Bytes::MiB(22);  // the template has 20, a clone counts with 6 at least
  Use(Echo());
  Run([&]() -> Task<void> {
    auto answer = Call("5");
    EXPECT_TRUE(co_await Until([&] {
      service_->Tick();
      return answer->has_value();
    }));
    auto result = co_await Done(answer);
    CHECK(result.has_value());
    EXPECT_EQ(result->payload, "5");
    EXPECT_EQ(result->start, StartKind::kFresh);
    co_await End();
  });
}

}  // namespace
}  // namespace samovar
