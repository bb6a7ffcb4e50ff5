#include "models/ort_reason.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

TEST(OrtReason, LeavesOutThePlaceInTheSource) {
  const char* const cases[][2] = {
      {"no place (at all)", "no place (at all)"},
      {"", ""},
      {"Load model from /var/task/model.onnx "
       "failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:256 "
       "onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, const "
       "onnxruntime::IOnnxRuntimeOpSchemaRegistryList*) Unsupported model IR version: 99",
       "Load model from /var/task/model.onnx failed: Unsupported model IR version: 99"},
      {"failed:/onnxruntime_src/core/graph/model_load_utils.h:46 void "
       "onnxruntime::model_load_utils::ValidateOpsetForDomain(const "
       "std::unordered_map<std::__cxx11::basic_string<char>, int>&, bool, int) ONNX Runtime only "
       "*guarantees* support",
       "failed: ONNX Runtime only *guarantees* support"},
      {"/onnxruntime_src/a.h:1 bool N::F(const T&) const [with T = Tensor] x.Shape() == (1) was "
       "false. why",
       "x.Shape() == (1) was false. why"},
      {"/onnxruntime_src/a.h:1 N::F(int)::<lambda(const X&)> Reason (kept).", "Reason (kept)."},
      {"/onnxruntime_src/a.h:1 void N::F::operator()(int) const Reason", "Reason"},
      {"one: /onnxruntime_src/a.h:1 F() inner: /onnxruntime_src/b.h:2 G(int) last",
       "one: inner: last"},
      {"/onnxruntime_src/a.h", ""},
      {"/onnxruntime_src/a.h:1 F(", "F("},
      {"/onnxruntime_src/a.h:1 no function", "no function"},
      {"/onnxruntime_src/a.h:1 F(int)\nStacktrace:\n", "Stacktrace:\n"},
  };
  for (const auto& [message, reason] : cases) EXPECT_EQ(OrtReason(message), reason);
}

}  // namespace
}  // namespace samovar
