#pragma once
// The JSON events of a Lambda Invoke: {"instances": rows} and {"inputs": {name: value}}.

#include <simdjson.h>

#include "models/model_call.h"
#include "models/signature.h"

namespace samovar {

Result<ModelCall> DecodeInstances(const ModelSignature& signature, simdjson::dom::object event);
Result<ModelCall> DecodeNamedInputs(const ModelSignature& signature, simdjson::dom::object event);

// {"outputs": {...}} and {"predictions": [...]}.
std::string EncodeOutputs(const ModelSignature& signature, const ModelCall& call,
                          const std::vector<Value>& outputs);
std::string EncodePredictions(const ModelSignature& signature, const ModelCall& call,
                              const std::vector<Value>& outputs);

}  // namespace samovar
