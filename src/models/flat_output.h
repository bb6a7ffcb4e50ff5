#pragma once
// FlatOutput: an output as one tensor, for the forms of payload that carry nothing else.
// How      A sequence of maps with equal keys (a classifier's probabilities) becomes a tensor of
//          [rows, keys], with the keys beside it; a sequence of equal tensors is stacked.
// Errors   kUnsupported "Model.UnsupportedOutput" for what is no tensor even so.

#include "base/error.h"
#include "models/tensor.h"

namespace samovar {

struct FlatOutput {
  Tensor tensor;
  Value keys = {};  // of a map's columns, or none
};

Result<FlatOutput> Flatten(const ValueInfo& info, const Value& value);

}  // namespace samovar
