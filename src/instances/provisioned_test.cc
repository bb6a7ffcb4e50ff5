// Provisioned instances, and what is ready before its call.

#include <gmock/gmock.h>

#include "instances/clones_fixture.h"

namespace samovar {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;

TEST_F(ClonesTest, KeepsProvisionedInstancesReadyAndServesThemFirst) {
  options_.keep_alive.fixed = seconds(30);
  Use(Echo());
  Run([&]() -> Task<void> {
    const std::string key = Of("f")->Key();
    service_->SetTargets({{.version = Of("f"), .count = 3}});
    EXPECT_TRUE(co_await Until([&] {
      service_->Tick();
      return service_->Status(key).available == 3;
    }));
    EXPECT_EQ(service_->Status(key).allocated, 3);
    constexpr std::string_view kType = "AWS_LAMBDA_INITIALIZATION_TYPE=";
    EXPECT_THAT(host_->processes[0]->spec.env,
                Contains(std::string(kType) + "provisioned-concurrency"));
    EXPECT_TRUE(co_await Spares(1));
    int on_demand = 0;
    for (auto& process : host_->processes) {
      on_demand += std::ranges::count(process->clone_env, std::string(kType) + "on-demand");
    }
    EXPECT_EQ(on_demand, 1);  // the spare
    auto result = co_await Done(Call());
    CHECK(result.has_value());
    EXPECT_EQ(result->start, StartKind::kWarm);
    EXPECT_FALSE(result->init.has_value());
    clock_.Advance(minutes(20));
    service_->Tick();
    co_await Turns(50);
    EXPECT_EQ(service_->Status(key).available, 3);  // no keep-alive
    // One that ends is replaced.
    for (auto& process : host_->processes) {
      if (process->parent && !process->exit) {
        process->Exit(ExitedWith(1));
        break;
      }
    }
    EXPECT_TRUE(co_await Until([&] {
      service_->Tick();
      return service_->Status(key).available == 3;
    }));
    service_->SetTargets({});
    EXPECT_TRUE(co_await Until([&] {
      service_->Tick();
      return InState("idle") == 0;
    }));
    EXPECT_EQ(service_->Status(key).allocated, 0);
    co_await End();
  });
}

TEST_F(ClonesTest, SpillsOverToDemandPastWhatIsProvisioned) {
  Use(Runtime([](FakeProcess& process, std::string event) -> Task<void> {
    if (event != "\"hang\"") co_await process.Send(FrameType::kResponse, "", std::move(event));
  }));
  Run([&]() -> Task<void> {
    const std::string key = Of("f")->Key();
    service_->SetTargets({{.version = Of("f"), .count = 1}});
    EXPECT_TRUE(co_await Until([&] {
      service_->Tick();
      return service_->Status(key).available == 1;
    }));
    auto hanging = Call("\"hang\"");
    co_await Turns(20);
    auto spilled = co_await Done(Call("2"));
    CHECK(spilled.has_value());
    EXPECT_NE(spilled->start, StartKind::kWarm);
    EXPECT_FALSE(hanging->has_value());
    EXPECT_EQ(service_->Status(key).available, 1);
    co_await End();
  });
}

TEST_F(ClonesTest, SaysWhyProvisionedInstancesDoNotComeAndTriesAgain) {
  bool fails = true;
  Use([&](FakeProcessPtr process) -> Task<void> {
    if (fails) {
      co_await process->Send(FrameType::kInitError, "ImportError", "{\"errorMessage\":\"no x\"}");
      process->Exit(ExitedWith(1));
      co_return;
    }
    co_await Echo()(process);
  });
  Run([&]() -> Task<void> {
    const std::string key = Of("f")->Key();
    service_->SetTargets({{.version = Of("f"), .count = 2}});
    EXPECT_TRUE(co_await Until([&] { return !service_->Status(key).failure.empty(); }));
    EXPECT_THAT(service_->Status(key).failure, HasSubstr("no x"));
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    auto count = host_->processes.size();
    service_->Tick();
    co_await Turns(20);
    EXPECT_EQ(host_->processes.size(), count);  // not before a second is over
    fails = false;
    clock_.Advance(seconds(2));
    EXPECT_TRUE(co_await Until([&] {
      service_->Tick();
      return service_->Status(key).available == 2;
    }));
    EXPECT_EQ(service_->Status(key).failure, "");
    co_await End();
  });
}

TEST_F(ClonesTest, IsAwayWhileNoCallIsExpectedAndReadyBeforeTheNext) {
  clonable_ = false;
  Use(Echo());
  Run([&]() -> Task<void> {
    // Every call comes 30 minutes after the one before.
    for (int i = 0; i < 30; ++i) {
      EXPECT_TRUE(co_await Done(Call()));
      clock_.Advance(minutes(30));
    }
    EXPECT_TRUE(co_await Done(Call()));
    clock_.Advance(seconds(11));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    clock_.Advance(minutes(26));
    service_->Tick();
    co_await Turns(20);
    EXPECT_EQ(host_->Living(), 0);
    clock_.Advance(minutes(2));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return InState("idle") == 1; }));
    auto expected = co_await Done(Call());
    CHECK(expected.has_value());
    EXPECT_EQ(*expected->init, seconds(0));
    clock_.Advance(minutes(29));
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return InState("idle") == 1; }));
    clock_.Advance(minutes(10));  // it did not come
    service_->Tick();
    EXPECT_TRUE(co_await Until([&] { return host_->Living() == 0; }));
    co_await End();
  });
}

}  // namespace
}  // namespace samovar
