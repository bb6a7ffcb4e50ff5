#include <gtest/gtest.h>

#include "functions/registry_for_tests.h"

namespace samovar {
namespace {

class ModelFunctionsTest : public RegistryTest {
 protected:
  json::object ModelInput(const std::string& file) {
    auto input = CreateInput("forecast");
    input["Runtime"] = "onnx";
    input.erase("Handler");
    input["Code"] = json::object{{"StagedPath", StageFile(file)}};
    return input;
  }
  std::string StageFile(const std::string& file) {
    return Stage(ZipForTests().Add("samovar.yaml", "threads: 1").Add(file, "model").Bytes());
  }
};

TEST_F(ModelFunctionsTest, AreFunctionsWhoseHandlerIsTheirFile) {
  EXPECT_EQ(Run("CreateFunction", ModelInput("model.onnx")).at("Handler"), "model.onnx");
}

TEST_F(ModelFunctionsTest, MustHoldTheirModel) {
  const std::string missing =
      "InvalidParameterValueException: The package of a function of runtime onnx must hold the "
      "model as ";
  EXPECT_EQ(ErrorOf("CreateFunction", ModelInput("forecast.onnx")), missing + "model.onnx.");
  auto named = ModelInput("deep/forecast.onnx");
  named["Handler"] = "deep/forecast.onnx";
  EXPECT_EQ(ErrorOf("CreateFunction", named), "");
  Settle("forecast");
  EXPECT_EQ(ErrorOf("UpdateFunctionCode", json::object{{"FunctionName", "forecast"},
                                                       {"StagedPath", StageFile("model.onnx")}}),
            missing + "deep/forecast.onnx.");
}

TEST_F(ModelFunctionsTest, AreTheOnlyOnesThatNeedNoHandler) {
  auto input = CreateInput("plain");
  input.erase("Handler");
  EXPECT_NE(ErrorOf("CreateFunction", input), "");
}

}  // namespace
}  // namespace samovar
