// What processes that the host boots ahead take of the memory budget.
#include "instances/service_fixture.h"

namespace samovar {
namespace {

TEST_F(InstanceServiceTest, CountsAProcessBootedAheadForEachKindAndFourAtMost) {
  boot_ = GenericBoot{};
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call("1", "f0")));
    const Bytes one = service_->MemoryInUse();
    EXPECT_TRUE(host_->processes[0]->spec.boot.has_value());
    EXPECT_GE(one, Bytes::MiB(48));
    EXPECT_TRUE(co_await Done(Call("1", "same")));  // of the same kind
    const Bytes instance = service_->MemoryInUse() - one;
    for (int kind = 1; kind < 6; ++kind) {
      program_ = "/bin/other" + std::to_string(kind);
      EXPECT_TRUE(co_await Done(Call("1", "f" + std::to_string(kind))));
      EXPECT_TRUE(host_->processes.back()->spec.boot.has_value());
    }
    EXPECT_EQ(service_->MemoryInUse().count, (4 * Bytes::MiB(48).count) + (7 * instance.count));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, LetsTheHostBootNothingAheadWhereItWouldTakeMuchOfTheBudget) {
  boot_ = GenericBoot{};
  options_.memory_budget = Bytes::MiB(300);
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call()));
    EXPECT_FALSE(host_->processes[0]->spec.boot.has_value());
    co_await End();
  });
}

TEST_F(InstanceServiceTest, CountsWhatAProcessBootedAheadHadWhenAFunctionTookItOver) {
  boot_ = GenericBoot{};
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call("1", "f0")));
    const Bytes guessed = service_->MemoryInUse();
    host_->booted_memory = Bytes::MiB(31);
    EXPECT_TRUE(co_await Done(Call("1", "f1")));
    EXPECT_TRUE(co_await Done(Call("1", "f1")));
    const Bytes instance = guessed - Bytes::MiB(48);
    EXPECT_EQ(service_->MemoryInUse().count, Bytes::MiB(31).count + (2 * instance.count));
    co_await End();
  });
}

TEST_F(InstanceServiceTest, DropsProcessesBootedAheadBeforeAnIdleInstanceAndBootsNoneForAWhile) {
  boot_ = GenericBoot{};
  options_.memory_budget = Bytes::MiB(500);
  Use(Echo());
  Run([&]() -> Task<void> {
    EXPECT_TRUE(co_await Done(Call("1", "f0")));
    EXPECT_TRUE(co_await Done(Call("1", "f1")));
    EXPECT_EQ(host_->booted_dropped, 0);
    host_->processes[0]->memory = Bytes::MiB(440);  // with the others it is more than there is
    EXPECT_TRUE(co_await Until([&] {
      clock_.Advance(std::chrono::milliseconds(100));
      service_->Tick();
      return host_->booted_dropped == 1;
    }));
    EXPECT_EQ(host_->Living(), 2);
    EXPECT_LE(service_->MemoryInUse(), options_.memory_budget);
    host_->processes[0]->memory = Bytes::MiB(20);
    clock_.Advance(std::chrono::seconds(2));
    service_->Tick();
    EXPECT_TRUE(co_await Done(Call("1", "f2")));
    EXPECT_FALSE(host_->processes[2]->spec.boot.has_value());  // memory was short just now
    clock_.Advance(std::chrono::seconds(30));
    EXPECT_TRUE(co_await Done(Call("1", "f3")));
    EXPECT_TRUE(host_->processes[3]->spec.boot.has_value());
    EXPECT_EQ(host_->booted_dropped, 1);
    co_await End();
  });
}

}  // namespace
}  // namespace samovar
