#pragma once
// ModelCall: one request to a model, decoded, with what its answer must look like.

#include <cstdint>
#include <string>
#include <vector>

#include "models/tensor.h"

namespace samovar {

enum class PayloadForm : std::uint8_t {
  kEvent,      // {"inputs": {...}} to {"outputs": {...}}
  kInstances,  // {"instances": [...]} to {"predictions": [...]}
  kCsv,
  kNpy,
  kInference,  // Open Inference v2, JSON or binary
  kMetadata,   // v2 model metadata; no run
  kRefusal,    // to a function URL's caller: `id` is the error as JSON; no run
};

struct ModelCall {
  PayloadForm answer = PayloadForm::kEvent;
  std::vector<Value> inputs;              // in the model's order
  std::vector<std::size_t> outputs;       // those wanted
  std::string id = {};                    // v2
  std::vector<bool> binary_outputs = {};  // v2, beside `outputs`
};

struct ModelAnswer {
  std::string payload;
  std::string content_type;  // empty: application/json
};

}  // namespace samovar
