#include "gateway/grpc_answers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace samovar {
namespace {

using std::chrono::seconds;

class GrpcAnswersTest : public ::testing::Test {
 protected:
  Result<std::uint64_t> Hold(const std::string& name, std::uint64_t bytes) {
    return answers_.Hold({bytes}, [this, name] { broken_.push_back(name); });
  }

  FakeClock clock_;
  GrpcAnswers answers_{
      clock_, {.most = {100}, .patience = seconds(5), .to_take = seconds(60), .a_second = {10}}};
  std::vector<std::string> broken_;
};

TEST_F(GrpcAnswersTest, RefusesWhatFindsNoRoomBesideNewAnswers) {
  const auto first = Hold("first", 60);
  ASSERT_TRUE(first);
  const auto second = Hold("second", 60);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kThrottled);
  answers_.Release(*first);
  EXPECT_TRUE(Hold("second", 60));
  EXPECT_EQ(answers_.Used().count, 60U);
  EXPECT_TRUE(broken_.empty());
}

TEST_F(GrpcAnswersTest, BreaksOffWhatWasLeftLongestForOthers) {
  const auto first = Hold("first", 40);
  clock_.Advance(seconds(1));
  ASSERT_TRUE(Hold("second", 40));
  clock_.Advance(seconds(4));
  ASSERT_TRUE(Hold("third", 40));
  EXPECT_EQ(broken_, std::vector<std::string>{"first"});
  EXPECT_EQ(answers_.Used().count, 80U);
  answers_.Release(*first);  // its call is over
  EXPECT_EQ(answers_.Used().count, 80U);
  EXPECT_EQ(answers_.Count(), 2U);
  ASSERT_FALSE(Hold("fourth", 40));
  EXPECT_EQ(broken_.size(), 1U);
}

TEST_F(GrpcAnswersTest, OneThatIsLargerThanAllRoomIsHeldAlone) {
  const auto large = Hold("large", 1000);
  ASSERT_TRUE(large);
  EXPECT_FALSE(Hold("small", 1));
  answers_.Release(*large);
  EXPECT_TRUE(Hold("small", 1));
  EXPECT_FALSE(Hold("large", 1000));
}

TEST_F(GrpcAnswersTest, LargeOnesMayTakeLonger) {
  ASSERT_TRUE(Hold("small", 1));
  ASSERT_TRUE(Hold("large", 90));
  clock_.Advance(seconds(59));
  answers_.BreakOffLate();
  EXPECT_TRUE(broken_.empty());
  clock_.Advance(seconds(1));
  answers_.BreakOffLate();
  answers_.BreakOffLate();
  EXPECT_EQ(broken_, std::vector<std::string>{"small"});
  clock_.Advance(seconds(9));
  answers_.BreakOffLate();
  EXPECT_EQ(broken_, (std::vector<std::string>{"small", "large"}));
  EXPECT_EQ(answers_.Used().count, 0U);
}

}  // namespace
}  // namespace samovar
