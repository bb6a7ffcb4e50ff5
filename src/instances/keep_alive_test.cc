#include "instances/keep_alive.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace samovar {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const KeepAlivePolicy kPolicy;

// So many gaps of one length.
struct Gaps {
  int count;
  std::chrono::nanoseconds length;
};

KeepAlive After(const std::vector<Gaps>& gaps, const KeepAlivePolicy& policy = kPolicy) {
  KeepAlive keep(policy);
  for (const auto& [count, length] : gaps) {
    for (int i = 0; i < count; ++i) keep.RecordGap(length);
  }
  return keep;
}

// `minutes` with the margin: later for the end, earlier for the begin.
milliseconds Later(int whole) { return milliseconds(minutes(whole)) * 11 / 10; }
milliseconds Earlier(int whole) { return milliseconds(minutes(whole)) * 9 / 10; }

TEST(KeepAlive, UsesTheStandardTimeUntilItHasEnoughSamples) {
  KeepAlive keep;
  for (std::uint64_t i = 0; i + 1 < kPolicy.enough_samples; ++i) {
    keep.RecordGap(seconds(1));
    EXPECT_EQ(keep.Window(), kPolicy.standard) << i;
    EXPECT_FALSE(keep.PrewarmAfter()) << i;
  }
  keep.RecordGap(seconds(1));
  EXPECT_EQ(keep.Window(), Later(1));
}

TEST(KeepAlive, KeepsUntilTheNinetyNinthPercentileGap) {
  struct Case {
    std::string_view name;
    std::vector<Gaps> gaps;
    milliseconds want;
  };
  for (const Case& c : {
           Case{"rare long gaps do not count", {{990, seconds(20)}, {10, minutes(90)}}, Later(1)},
           Case{"one in fifty does", {{980, seconds(20)}, {20, minutes(90)}}, Later(91)},
           Case{"all alike", {{100, minutes(30)}}, Later(31)},
           Case{"never longer than the range", {{100, minutes(239)}}, KeepAlive::kRange},
           Case{"what is out of range moves no percentile",
                {{60, minutes(3)}, {40, hours(9)}},
                Later(4)},
       }) {
    EXPECT_EQ(After(c.gaps).Window(), c.want) << c.name;
  }
}

TEST(KeepAlive, IsAwayUntilTheFifthPercentileGap) {
  struct Case {
    std::string_view name;
    std::vector<Gaps> gaps;
    std::optional<milliseconds> want;
  };
  for (const Case& c : {
           Case{"every half hour", {{100, minutes(30)}}, Earlier(30)},
           Case{"rare short gaps do not count", {{4, seconds(1)}, {96, minutes(30)}}, Earlier(30)},
           Case{"one in twenty does", {{5, seconds(1)}, {95, minutes(30)}}, std::nullopt},
           Case{"the earlier of two habits", {{50, minutes(10)}, {50, minutes(60)}}, Earlier(10)},
           Case{"within the first minute", {{100, seconds(59)}}, std::nullopt},
       }) {
    const auto keep = After(c.gaps);
    EXPECT_EQ(keep.PrewarmAfter(), c.want) << c.name;
    if (keep.PrewarmAfter()) EXPECT_LT(*keep.PrewarmAfter(), keep.Window()) << c.name;
  }
  EXPECT_FALSE(After({{100, minutes(30)}}, {.fixed = {}, .prewarm = false}).PrewarmAfter());
}

TEST(KeepAlive, UsesTheStandardTimeWhereTheGapsTellNothing) {
  std::vector<Gaps> all_lengths;
  for (int minute = 0; minute < 240; ++minute) all_lengths.push_back({5, minutes(minute)});
  auto one_habit = all_lengths;
  one_habit.push_back({1200, minutes(7)});
  struct Case {
    std::string_view name;
    std::vector<Gaps> gaps;
    bool tells;
  };
  for (const Case& c : {
           Case{"most are out of range", {{49, minutes(3)}, {51, hours(5)}}, false},
           Case{"half of them are", {{50, minutes(3)}, {50, hours(5)}}, true},
           Case{"all are", {{100, hours(5)}}, false},
           Case{"all lengths alike", all_lengths, false},
           Case{"all lengths, and one habit", one_habit, true},
       }) {
    const auto keep = After(c.gaps);
    EXPECT_EQ(keep.Window() != kPolicy.standard, c.tells) << c.name;
    if (!c.tells) EXPECT_FALSE(keep.PrewarmAfter()) << c.name;
  }
}

TEST(KeepAlive, ForgetsHowItWasLongAgo) {
  KeepAlive keep;
  for (std::uint64_t i = 0; i < KeepAlive::kMaxSamples; ++i) keep.RecordGap(hours(2));
  EXPECT_EQ(keep.Window(), Later(121));
  for (std::uint64_t i = 0; i < 10 * KeepAlive::kMaxSamples; ++i) keep.RecordGap(seconds(1));
  EXPECT_EQ(keep.Window(), Later(1));
  EXPECT_FALSE(keep.PrewarmAfter());
}

TEST(KeepAlive, CountsANegativeGapAsZero) {
  EXPECT_EQ(After({{100, -hours(3)}}).Window(), Later(1));
}

TEST(KeepAlive, KeepsTheFixedTimeWhateverTheGaps) {
  const auto keep = After({{100, hours(1)}}, {.fixed = milliseconds(1500)});
  EXPECT_EQ(keep.Window(), milliseconds(1500));
  EXPECT_FALSE(keep.PrewarmAfter());
}

}  // namespace
}  // namespace samovar
