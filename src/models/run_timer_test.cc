#include "models/run_timer.h"

#include <gtest/gtest.h>

#include <chrono>

#include "models/onnx_model.h"

namespace samovar {
namespace {

using std::chrono::steady_clock;

class RunTimerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto model = OnnxModel::Load(SAMOVAR_ROWS_MODEL, {});
    ASSERT_TRUE(model) << model.error().message;
    model_ = std::move(*model);
  }

  Result<void> Run() {
    std::vector<Value> inputs{Value::Of(Tensor::Of(ElementType::kFloat, {2, 4}))};
    TRY(model_->Run(inputs, {0}));
    return {};
  }

  std::unique_ptr<OnnxModel> model_;
};

TEST_F(RunTimerTest, AnAlarmAfterTheEndOfARunEndsNoOther) {
  RunTimer timer(*model_);
  timer.Begin(steady_clock::now() - std::chrono::seconds(1));  // the alarm comes at once
  timer.End();
  const auto ran = Run();
  EXPECT_TRUE(ran) << ran.error().message;
}

TEST_F(RunTimerTest, InterruptsUntilTheEnd) {
  RunTimer timer(*model_);
  timer.Begin(steady_clock::now() - std::chrono::seconds(1));
  model_->Interrupt();  // should the alarm not have come yet
  for (int i = 0; i < 2; ++i) {
    const auto ran = Run();
    ASSERT_FALSE(ran);
    EXPECT_EQ(ran.error().code, Code::kTimeout);
  }
  timer.End();
  EXPECT_TRUE(Run());
}

TEST_F(RunTimerTest, LeavesARunThatHasTimeAlone) {
  RunTimer timer(*model_);
  timer.Begin(steady_clock::now() + std::chrono::hours(1));
  EXPECT_TRUE(Run());
  timer.End();
}

}  // namespace
}  // namespace samovar
