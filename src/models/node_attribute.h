#pragma once
// NodeAttribute: what AttributeProto says of a node, as far as trees are concerned, without copying
// texts and tensors.
// Errors   kInvalid for what is no protocol buffer; of tensors, kUnsupported for one of another
//          type or whose data lie in a file beside the model.
// Source   onnx.proto of ONNX 1.19.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

struct NodeAttribute {
  std::string_view name;
  std::string_view text;
  std::int64_t number = 0;
  std::vector<float> floats;
  std::vector<std::int64_t> ints;
  std::vector<std::string_view> strings;
  std::optional<std::string_view> tensor;  // a TensorProto

  static Result<NodeAttribute> Read(std::string_view bytes);

  // REQUIRES: there is a tensor.
  Result<std::vector<float>> FloatTensor() const;
  Result<std::vector<std::uint8_t>> ByteTensor() const;
};

}  // namespace samovar
