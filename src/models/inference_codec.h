#pragma once
// The Open Inference Protocol, version 2: bodies in JSON, and in JSON followed by binary tensors.
// Errors   As codec.h; the datatype of an input must be the model's own.
// Source   Open Inference Protocol v2 (REST); Triton's "binary tensor data" extension.

#include <simdjson.h>

#include <string_view>

#include "models/model_call.h"
#include "models/signature.h"

namespace samovar {

// `tail`: the bytes after the JSON, which the inputs with a binary_data_size share in order.
Result<ModelCall> DecodeInference(const ModelSignature& signature, simdjson::dom::object body,
                                  std::string_view tail);
Result<ModelAnswer> EncodeInference(const ModelSignature& signature, const ModelCall& call,
                                    const std::vector<Value>& outputs);
std::string EncodeMetadata(const ModelSignature& signature);

}  // namespace samovar
