#pragma once
// OrtReason: ONNX Runtime's reason without the place in its source that it puts before it.
//
// Why      "/onnxruntime_src/onnxruntime/core/graph/model.cc:256 onnxruntime::Model::Model(...)"
//          tells the owner of a model nothing; what follows does.
// Source   CodeLocation::ToString in ONNX Runtime's core/common/code_location.h: file:line, a
//          blank, what __PRETTY_FUNCTION__ says, a blank.

#include <string>
#include <string_view>

namespace samovar {

std::string OrtReason(std::string_view message);

}  // namespace samovar
