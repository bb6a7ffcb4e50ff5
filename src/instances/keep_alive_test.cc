#include "instances/keep_alive.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(KeepAlive, UsesTheDefaultUntilItHasEnoughSamples) {
  KeepAlive keep;
  for (std::uint64_t i = 0; i + 1 < KeepAlive::kEnoughSamples; ++i) {
    keep.RecordGap(seconds(1));
    EXPECT_EQ(keep.Window(), KeepAlive::kDefault) << i;
  }
  keep.RecordGap(seconds(1));
  EXPECT_EQ(keep.Window(), minutes(1));
}

TEST(KeepAlive, KeepsUntilTheNinetyNinthPercentileGap) {
  struct Case {
    std::string_view name;
    int short_gaps;
    int long_gaps;
    minutes long_gap;
    minutes want;
  };
  for (const Case& c : {
           Case{"rare long gaps do not count", 990, 10, minutes(90), minutes(1)},
           Case{"one in fifty does", 980, 20, minutes(90), minutes(91)},
           Case{"all alike", 0, 100, minutes(30), minutes(31)},
           Case{"never longer than the range", 0, 100, hours(9), KeepAlive::kRange},
           Case{"the last bin of the range", 0, 100, minutes(239), KeepAlive::kRange},
       }) {
    KeepAlive keep;
    for (int i = 0; i < c.short_gaps; ++i) keep.RecordGap(seconds(20));
    for (int i = 0; i < c.long_gaps; ++i) keep.RecordGap(c.long_gap);
    EXPECT_EQ(keep.Window(), c.want) << c.name;
  }
}

TEST(KeepAlive, ForgetsHowItWasLongAgo) {
  KeepAlive keep;
  for (std::uint64_t i = 0; i < KeepAlive::kMaxSamples; ++i) keep.RecordGap(hours(2));
  EXPECT_EQ(keep.Window(), minutes(121));
  for (std::uint64_t i = 0; i < 10 * KeepAlive::kMaxSamples; ++i) keep.RecordGap(seconds(1));
  EXPECT_EQ(keep.Window(), minutes(1));
}

TEST(KeepAlive, CountsANegativeGapAsZero) {
  KeepAlive keep;
  for (int i = 0; i < 100; ++i) keep.RecordGap(-hours(3));
  EXPECT_EQ(keep.Window(), minutes(1));
}

TEST(KeepAlive, KeepsTheFixedTimeWhateverTheGaps) {
  KeepAlive keep(KeepAlivePolicy{.fixed = milliseconds(1500)});
  for (int i = 0; i < 100; ++i) keep.RecordGap(hours(1));
  EXPECT_EQ(keep.Window(), milliseconds(1500));
}

}  // namespace
}  // namespace samovar
