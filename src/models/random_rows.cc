#include "models/random_rows.h"

#include <algorithm>

namespace samovar {
namespace {

void Randomise(Tensor& tensor, std::mt19937& random) {
  std::normal_distribution<double> around(0, 2);
  for (std::string& text : tensor.strings) text = random() % 2 == 0 ? "a" : "b";
  if (tensor.IsText()) return;
  const std::size_t parts = tensor.Count() * (IsComplex(tensor.type) ? 2 : 1);
  for (std::size_t i = 0; i < parts; ++i) {
    if (IsFloating(tensor.type) || IsComplex(tensor.type)) {
      Store(tensor.type, tensor.bytes.data(), i, around(random));
    } else {
      Store(tensor.type, tensor.bytes.data(), i, static_cast<std::int64_t>(random() % 2));
    }
  }
}

bool Same(const Value& a, const Value& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  const bool tensors = a.tensor.type == b.tensor.type && a.tensor.shape == b.tensor.shape &&
                       a.tensor.bytes == b.tensor.bytes && a.tensor.strings == b.tensor.strings;
  return tensors && std::ranges::equal(a.items, b.items, Same);
}

}  // namespace

ModelCall RandomRow(const ModelSignature& signature, std::mt19937& random) {
  ModelCall call{.inputs = {}, .outputs = signature.AllOutputs()};
  call.inputs.resize(signature.inputs.size());
  for (std::size_t i : signature.Required()) {
    Shape shape = signature.inputs[i].shape.value_or(Shape{1});
    for (std::int64_t& dimension : shape) dimension = dimension < 0 ? 1 : dimension;
    Tensor tensor = Tensor::Of(signature.inputs[i].type, std::move(shape));
    Randomise(tensor, random);
    call.inputs[i] = Value::Of(std::move(tensor));
  }
  static_cast<void>(ApplyDefaults(signature, call.inputs));
  return call;
}

bool SameAnswers(const std::vector<Value>& a, const std::vector<Value>& b) {
  return std::ranges::equal(a, b, Same);
}

}  // namespace samovar
