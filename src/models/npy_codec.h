#pragma once
// application/x-npy: NumPy's file of one array, to the model's one input and from its first output.
// How      Numbers become what the input's type is, as from JSON: what would lose more than the
//          rounding of a floating type is refused.
// Errors   As codec.h.
// Source   NumPy enhancement proposal 1, "A simple file format for NumPy arrays", versions 1 to 3.

#include <string_view>

#include "models/model_call.h"
#include "models/signature.h"

namespace samovar {

Result<ModelCall> DecodeNpy(const ModelSignature& signature, std::string_view bytes);
Result<std::string> EncodeNpy(const ModelSignature& signature, const ModelCall& call,
                              const std::vector<Value>& outputs);

}  // namespace samovar
