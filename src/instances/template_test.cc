#include "instances/template.h"

#include <gtest/gtest.h>

#include "instances/spare_count.h"

namespace samovar {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

constexpr SteadyTime kNow{std::chrono::hours(1)};

// Only its address is used.
Instance& SomeProcess() {
  static char place;
  return reinterpret_cast<Instance&>(place);
}

Template Made(SteadyTime now = kNow) {
  Template made;
  made.Begin(SomeProcess(), {"A=1", "B=2"}, now);
  EXPECT_TRUE(made.Ready({.clonable = true}, now));
  return made;
}

TEST(TemplateReport, IsReadWithItsReasons) {
  auto report = ReadTemplateReport(
      R"({"clonable": false, "private_bytes": 4096, "threads": 5,
          "reasons": [{"problem": "libx.so has started 4 threads", "remedy": "set X = 1"}, 7,
                      {"problem": "a socket is open"}]})");
  EXPECT_FALSE(report.clonable);
  EXPECT_EQ(report.private_memory, Bytes{4096});
  EXPECT_EQ(report.obstacles,
            (std::vector<CloneObstacle>{{"libx.so has started 4 threads", "set X = 1"},
                                        {"a socket is open", ""}}));
  EXPECT_TRUE(ReadTemplateReport(R"({"clonable": true})").clonable);
}

TEST(TemplateReport, CountsAsNotClonableWhereItCannotBeRead) {
  for (std::string_view text : {"", "7", "{}", R"({"clonable": 1})", R"({"clonable": true)"}) {
    auto report = ReadTemplateReport(text);
    EXPECT_FALSE(report.clonable) << text;
    EXPECT_EQ(report.obstacles.size(), 1u) << text;
  }
}

TEST(TemplateReport, IsBoundedWhateverUserCodeWrites) {
  std::string text = R"({"clonable": false, "reasons": [)";
  for (int i = 0; i < 60; ++i) {
    text += R"({"problem": ")" + std::string(499, 'x') + R"(\u00e9 and more"},)";
  }
  text.back() = ']';
  auto report = ReadTemplateReport(text + "}");
  EXPECT_EQ(report.obstacles.size(), 16u);
  EXPECT_EQ(report.obstacles[0].problem, std::string(499, 'x'));  // no half of a character
  EXPECT_EQ(ReadTemplateReport(text + "}" + std::string(64 << 10, ' ')).obstacles.size(), 1u);
}

TEST(Template, IsNotMadeTwiceAndNotAgainWhereItCannotBeCloned) {
  Template fresh;
  EXPECT_TRUE(fresh.MayMake(kNow));
  fresh.Begin(SomeProcess(), {}, kNow);
  EXPECT_FALSE(fresh.MayMake(kNow));
  EXPECT_FALSE(fresh.Ready({.obstacles = {{"threads", "none"}}}, kNow));
  EXPECT_EQ(fresh.At(), Template::Stage::kNotClonable);
  EXPECT_EQ(fresh.Process(), nullptr);  // the pool's to use
  EXPECT_FALSE(fresh.MayMake(kNow + minutes(99)));
  EXPECT_EQ(fresh.Obstacles().size(), 1u);
}

TEST(Template, IsMadeAgainAfterItsEndWithWaitsThatDouble) {
  Template made = Made();
  auto now = kNow;
  for (seconds wait : {seconds(1), seconds(2), seconds(4)}) {
    made.Ended(now);
    EXPECT_TRUE(made.Lost());
    EXPECT_FALSE(made.MayMake(now + wait - milliseconds(1)));
    now += wait;
    EXPECT_TRUE(made.MayMake(now));
    made.Begin(SomeProcess(), {}, now);
    EXPECT_FALSE(made.Lost());
    EXPECT_TRUE(made.Ready({.clonable = true}, now));
  }
  now += minutes(2);  // it lived: the next end counts as the first
  made.Ended(now);
  EXPECT_TRUE(made.MayMake(now + seconds(1)));
}

TEST(Template, IsGivenUpAfterThreeClonesInARowThatFail) {
  Template made = Made();
  EXPECT_EQ(made.CloneFailed(kNow), nullptr);
  EXPECT_EQ(made.CloneFailed(kNow), nullptr);
  made.CloneMade();
  EXPECT_EQ(made.CloneFailed(kNow), nullptr);
  EXPECT_EQ(made.CloneFailed(kNow), nullptr);
  EXPECT_EQ(made.CloneFailed(kNow), &SomeProcess());
  EXPECT_TRUE(made.Lost());

  Template broken = Made();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(broken.CloneBroke(kNow, "signal: aborted"), nullptr);
  EXPECT_EQ(broken.CloneBroke(kNow, "signal: aborted"), &SomeProcess());
  EXPECT_EQ(broken.At(), Template::Stage::kNotClonable);
  EXPECT_NE(broken.Obstacles().at(0).problem.find("signal: aborted"), std::string::npos);
}

TEST(Template, TellsWhichVariablesOfACloneAreItsOwn) {
  Template made = Made();
  EXPECT_EQ(made.Difference({"A=1", "B=3", "C=4"}), (Strings{"B=3", "C=4"}));
}

TEST(SpareCount, KeepsAsManyAsTheLargestBurstWanted) {
  SpareCount count;
  EXPECT_EQ(count.Wanted(kNow), 1u);
  for (int i = 0; i < 5; ++i) count.RecordNeed(kNow + milliseconds(i), milliseconds(6));
  EXPECT_EQ(count.Wanted(kNow), 5u);
  // One by one, each long after the other, is no burst.
  SpareCount calm;
  for (int i = 0; i < 50; ++i) calm.RecordNeed(kNow + seconds(i), milliseconds(6));
  EXPECT_EQ(calm.Wanted(kNow + seconds(50)), 1u);
}

TEST(SpareCount, ReckonsAsABurstWhatComesWithinTheTimeOfAClone) {
  for (auto [clone_time, wanted] : {std::pair(milliseconds(10), 1u), {milliseconds(200), 3u}}) {
    SpareCount count;
    for (int i = 0; i < 3; ++i) count.RecordNeed(kNow + milliseconds(50 * i), clone_time);
    EXPECT_EQ(count.Wanted(kNow + milliseconds(150)), wanted);
  }
}

TEST(SpareCount, ForgetsBurstsAndHasABound) {
  SpareCount count;
  for (int i = 0; i < 9; ++i) count.RecordNeed(kNow, milliseconds(6));
  EXPECT_EQ(count.Wanted(kNow + SpareCount::kHalfLife), 5u);
  EXPECT_EQ(count.Wanted(kNow + 10 * SpareCount::kHalfLife), 1u);
  for (int i = 0; i < 2000; ++i) count.RecordNeed(kNow, milliseconds(6));
  EXPECT_EQ(count.Wanted(kNow), SpareCount::kMost);
}

}  // namespace
}  // namespace samovar
