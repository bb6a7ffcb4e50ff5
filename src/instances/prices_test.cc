#include "instances/prices.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

TEST(Prices, KnowsWhatTheBuiltInFileSays) {
  const Prices& prices = BuiltInPrices();
  EXPECT_EQ(prices.date, "2026-11");
  EXPECT_DOUBLE_EQ(prices.per_gb_second, 0.0000166667);
  // A million calls of 100 ms at 1 GB: 0.20 and 100,000 GB-s.
  EXPECT_NEAR(PriceOf(prices, 1'000'000, 100'000, 0), 0.20 + 1.66667, 1e-6);
  EXPECT_NEAR(PriceOf(prices, 0, 0, 1e9), 30.9, 1e-6);
}

TEST(Prices, NamesWhatIsWrongWithAFile) {
  struct Case {
    std::string_view yaml;
    std::string_view message;
  };
  for (const Case& c : {
           Case{"per_gb_second", "line 1: expected \"key: value\""},
           Case{"# only\n\ndate: 2026-11\n", "per_gb_second is missing"},
           Case{"per_gb_second: cheap\n", "per_gb_second: expected a price, got \"cheap\""},
           Case{"per_gb_second: -1\n", "per_gb_second: expected a price, got \"-1\""},
           Case{"per_gb_second: 1x\n", "per_gb_second: expected a price, got \"1x\""},
       }) {
    auto prices = ParsePrices(c.yaml);
    ASSERT_FALSE(prices) << c.yaml;
    EXPECT_EQ(prices.error().message, c.message);
  }
}

}  // namespace
}  // namespace samovar
