#include "instances/scheduler.h"

#include <gtest/gtest.h>

#include <string_view>

namespace samovar {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr SteadyTime kNow{std::chrono::hours(1)};

Scheduler Learned(nanoseconds start, nanoseconds call) {
  Scheduler scheduler;
  scheduler.RecordStart(start);
  scheduler.RecordCall(call);
  return scheduler;
}

TEST(Scheduler, StartsOnlyWhereTheExpectedWaitIsLongerThanAStart) {
  struct Case {
    std::string_view name;
    milliseconds start;
    milliseconds call;
    PoolLoad load;
    bool want;
  };
  milliseconds none{0};
  for (const Case& c : {
           Case{"nobody waits", milliseconds(50), seconds(9), {0, 3, 0, none}, false},
           Case{"nothing runs", milliseconds(50), milliseconds(1), {1, 0, 0, none}, true},
           Case{"a quick call ahead", milliseconds(50), milliseconds(1), {1, 1, 0, none}, false},
           Case{"a slow call ahead", milliseconds(50), milliseconds(60), {1, 1, 0, none}, true},
           Case{"a start is on its way for it",
                milliseconds(50),
                seconds(9),
                {1, 1, 1, none},
                false},
           Case{"many starts, more waiting", milliseconds(50), seconds(9), {9, 1, 4, none}, true},
           Case{"a long line of quick calls",
                milliseconds(50),
                milliseconds(1),
                {60, 1, 0, none},
                true},
           Case{"shared by many", milliseconds(50), milliseconds(1), {60, 4, 0, none}, false},
           Case{"waited longer than thought",
                milliseconds(50),
                milliseconds(1),
                {1, 1, 0, milliseconds(51)},
                true},
       }) {
    EXPECT_EQ(Learned(c.start, c.call).ShouldStart(kNow, c.load), c.want) << c.name;
  }
}

TEST(Scheduler, WeighsACloneByItsOwnTimeAndAFreshProcessByIts) {
  Scheduler scheduler = Learned(seconds(2), milliseconds(50));
  scheduler.RecordStart(milliseconds(6), true);
  PoolLoad load{.waiting = 1, .ready = 1};
  EXPECT_FALSE(scheduler.ShouldStart(kNow, load));
  load.clones = true;
  EXPECT_TRUE(scheduler.ShouldStart(kNow, load));
  EXPECT_EQ(scheduler.CloneTime(), milliseconds(6));
}

TEST(Scheduler, StartsForEachWhoWaitsWhileItKnowsNothing) {
  Scheduler scheduler;
  EXPECT_TRUE(scheduler.ShouldStart(kNow, {.waiting = 5, .ready = 0, .starting = 4}));
  EXPECT_FALSE(scheduler.ShouldStart(kNow, {.waiting = 5, .ready = 0, .starting = 5}));
  scheduler.RecordStart(seconds(1));
  EXPECT_TRUE(scheduler.ShouldStart(kNow, {.waiting = 1, .ready = 1}));
}

TEST(Scheduler, BuysAStartWhenTheWaitsOfManyAddUpToOne) {
  Scheduler scheduler = Learned(milliseconds(50), milliseconds(1));
  PoolLoad load{.waiting = 1, .ready = 1};
  for (int i = 0; i < 25; ++i) scheduler.RecordWait(kNow, milliseconds(2));
  EXPECT_FALSE(scheduler.ShouldStart(kNow, load));
  scheduler.RecordWait(kNow, milliseconds(2));
  EXPECT_TRUE(scheduler.ShouldStart(kNow, load));
  scheduler.Started();
  EXPECT_FALSE(scheduler.ShouldStart(kNow, load));
}

TEST(Scheduler, ForgetsWaitsOfLongAgo) {
  Scheduler scheduler = Learned(milliseconds(50), milliseconds(1));
  scheduler.RecordWait(kNow, milliseconds(90));
  PoolLoad load{.waiting = 1, .ready = 1};
  EXPECT_TRUE(scheduler.ShouldStart(kNow, load));
  EXPECT_FALSE(scheduler.ShouldStart(kNow + Scheduler::kDebtHalfLife, load));
}

TEST(Scheduler, FollowsTheServiceTimeAsItChanges) {
  Scheduler scheduler = Learned(milliseconds(50), milliseconds(1));
  PoolLoad load{.waiting = 1, .ready = 1};
  EXPECT_FALSE(scheduler.ShouldStart(kNow, load));
  for (int i = 0; i < 30; ++i) scheduler.RecordCall(milliseconds(200));
  EXPECT_TRUE(scheduler.ShouldStart(kNow, load));
}

}  // namespace
}  // namespace samovar
