#pragma once
// ModelSignature: the inputs and outputs of a model as payloads must name and shape them, and the
// errors that say so.
// Errors   kInvalid "Model.InvalidInput", naming the input, what was expected and what came.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "models/tensor.h"

namespace samovar {

struct ModelSignature {
  std::string name;     // of the model, as clients see it
  std::string version;  // "7"
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  // By input: from samovar.yaml. Of an input that batches: one row, without the first dimension.
  std::map<std::size_t, Value> defaults;

  Result<std::size_t> InputNamed(std::string_view name) const;
  Result<std::size_t> OutputNamed(std::string_view name) const;
  // Inputs that a request must give, in order.
  std::vector<std::size_t> Required() const;
  std::vector<std::size_t> AllOutputs() const;
};

std::unexpected<Error> InvalidInput(std::string message);
// `input "x": expected FP32[-1,100], got ...`
std::unexpected<Error> WrongInput(const ValueInfo& info, std::string_view got);
std::string Describe(const ValueInfo& info);  // "FP32[-1,100]", "a sequence of FP32[-1]"
std::string Describe(const Tensor& tensor);   // "FP32[1,99]"

// Checks `tensor` against what the model takes. Where `lenient`, missing trailing dimensions of
// one are added ([3] for [-1,1]), and an empty list takes any shape of none.
Result<void> Conform(const ValueInfo& info, Tensor& tensor, bool lenient);

// Gives each input that was left out its default, or kNone where the model has one of its own.
Result<void> ApplyDefaults(const ModelSignature& signature, std::vector<Value>& inputs);

}  // namespace samovar
