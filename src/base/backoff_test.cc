#include "base/backoff.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

using std::chrono::seconds;

TEST(Backoff, WaitsTwiceAsLongAfterEachFailureUpToABound) {
  FakeClock clock;
  Backoff backoff(seconds(1), seconds(5));
  EXPECT_TRUE(backoff.Due(clock.Now()));
  for (const int wait : {1, 2, 4, 5, 5}) {
    backoff.Failed(clock.Now());
    clock.Advance(seconds(wait) - std::chrono::nanoseconds(1));
    EXPECT_FALSE(backoff.Due(clock.Now())) << wait;
    clock.Advance(std::chrono::nanoseconds(1));
    EXPECT_TRUE(backoff.Due(clock.Now())) << wait;
  }
}

TEST(Backoff, TellsOnceOfFailuresInARowAndOnceOfTheirEnd) {
  FakeClock clock;
  Backoff backoff(seconds(1), seconds(5));
  EXPECT_FALSE(backoff.Succeeded());
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(backoff.Failed(clock.Now()));
    EXPECT_FALSE(backoff.Failed(clock.Now()));
    EXPECT_TRUE(backoff.Succeeded());
    EXPECT_TRUE(backoff.Due(clock.Now()));
    EXPECT_FALSE(backoff.Succeeded());
  }
}

}  // namespace
}  // namespace samovar
