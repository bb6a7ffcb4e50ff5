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

}  // namespace
}  // namespace samovar
