#include "instances/concurrency_limits.h"

#include <gtest/gtest.h>

#include <vector>

namespace samovar {
namespace {

using Permits = std::vector<ConcurrencyLimits::Permit>;

// Admits until it is refused, at most 100 times; the reason of the refusal, or "".
std::string_view FillUp(ConcurrencyLimits& limits, Permits& permits, const std::string& function,
                        std::optional<int> reserved) {
  for (int i = 0; i < 100; ++i) {
    auto permit = limits.Admit(function, reserved);
    if (!permit) {
      EXPECT_EQ(permit.error().code, Code::kThrottled);
      EXPECT_EQ(permit.error().message, "Rate Exceeded.");
      EXPECT_EQ(permit.error().name, "TooManyRequestsException");
      return permit.error().reason;
    }
    permits.push_back(std::move(*permit));
  }
  return "";
}

TEST(ConcurrencyLimits, RefusesPastTheAccountsLimitAndSaysWhy) {
  ConcurrencyLimits limits(5);
  Permits a;
  EXPECT_EQ(FillUp(limits, a, "a", std::nullopt), "ConcurrentInvocationLimitExceeded");
  EXPECT_EQ(a.size(), 5u);
  EXPECT_EQ(limits.Running(), 5);
  EXPECT_FALSE(limits.Admit("b", std::nullopt));
  a.pop_back();
  EXPECT_TRUE(limits.Admit("b", std::nullopt));
}

TEST(ConcurrencyLimits, DrawsOnWhatIsProvisionedBeforeWhatIsShared) {
  ConcurrencyLimits limits(5, [] { return 2; });  // two are provisioned, of "p"
  Permits others;
  EXPECT_EQ(FillUp(limits, others, "a", std::nullopt), "ConcurrentInvocationLimitExceeded");
  EXPECT_EQ(others.size(), 3u);
  Permits own;
  for (int i = 0; i < 2; ++i) {
    auto permit = limits.Admit("p", std::nullopt, 2);
    CHECK(permit.has_value());
    own.push_back(std::move(*permit));
  }
  EXPECT_FALSE(limits.Admit("p", std::nullopt, 2));
  others.pop_back();
  auto spilled = limits.Admit("p", std::nullopt, 2);
  EXPECT_TRUE(spilled);
  own.pop_back();  // its place is free, whoever took the shared one
  EXPECT_FALSE(limits.Admit("a", std::nullopt));
  EXPECT_TRUE(limits.Admit("p", std::nullopt, 2));
}

TEST(ConcurrencyLimits, ForgetsAFunctionThatIsGoneOnceItsCallsAreOver) {
  ConcurrencyLimits limits(5);
  {
    auto permit = limits.Admit("a", 2);
    EXPECT_TRUE(permit);
    limits.Forget("a");
    EXPECT_EQ(limits.Functions(), 1u);
  }
  limits.Forget("a");
  EXPECT_EQ(limits.Functions(), 0u);
  Permits b;
  EXPECT_EQ(FillUp(limits, b, "b", std::nullopt), "ConcurrentInvocationLimitExceeded");
  EXPECT_EQ(b.size(), 5u);  // what "a" had reserved is free again
}

TEST(ConcurrencyLimits, RefusesPastAFunctionsReservation) {
  ConcurrencyLimits limits(5);
  Permits a;
  EXPECT_EQ(FillUp(limits, a, "a", 2), "ReservedFunctionConcurrentInvocationLimitExceeded");
  EXPECT_EQ(a.size(), 2u);
}

TEST(ConcurrencyLimits, TakesReservationsOutOfWhatOthersShare) {
  ConcurrencyLimits limits(5, [] { return 3; });
  Permits b;
  EXPECT_EQ(FillUp(limits, b, "b", std::nullopt), "ConcurrentInvocationLimitExceeded");
  EXPECT_EQ(b.size(), 2u);
  Permits a;
  FillUp(limits, a, "a", 3);
  EXPECT_EQ(a.size(), 3u);  // its reservation was kept for it
}

TEST(ConcurrencyLimits, LearnsReservationsFromInvocationsWhereNobodyTellsThem) {
  ConcurrencyLimits limits(5);
  {
    auto first = limits.Admit("a", 4);
  }
  Permits b;
  FillUp(limits, b, "b", std::nullopt);
  EXPECT_EQ(b.size(), 1u);
  {
    auto without = limits.Admit("a", std::nullopt);
  }  // the reservation was deleted
  FillUp(limits, b, "b", std::nullopt);
  EXPECT_EQ(b.size(), 5u);
}

TEST(ConcurrencyLimits, LetsNothingThroughWithAReservationOfZero) {
  ConcurrencyLimits limits(5);
  EXPECT_FALSE(limits.Admit("a", 0));
  EXPECT_EQ(limits.Running(), 0);
}

}  // namespace
}  // namespace samovar
