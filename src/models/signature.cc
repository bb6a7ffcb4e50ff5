#include "models/signature.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace samovar {
namespace {

std::vector<std::string> Quoted(const std::vector<ValueInfo>& infos) {
  std::vector<std::string> names;
  for (const ValueInfo& info : infos) names.push_back(fmt::format("\"{}\"", info.name));
  return names;
}

Result<std::size_t> Named(const std::vector<ValueInfo>& infos, std::string_view what,
                          std::string_view name) {
  const auto found = std::ranges::find(infos, name, &ValueInfo::name);
  if (found != infos.end()) return static_cast<std::size_t>(found - infos.begin());
  return InvalidInput(fmt::format("{} \"{}\" is not one of the model's: {}", what, name,
                                  fmt::join(Quoted(infos), ", ")));
}

// An empty list says nothing of what its items would be.
void CompleteEmpty(const Shape& expected, Tensor& tensor) {
  while (tensor.shape.size() < expected.size()) {
    tensor.shape.push_back(std::max<std::int64_t>(expected[tensor.shape.size()], 0));
  }
}

void AddOnes(const Shape& expected, Tensor& tensor) {
  for (std::size_t i = tensor.shape.size(); i < expected.size(); ++i) {
    if (expected[i] != 1 && (expected[i] >= 0 || i == 0)) return;
  }
  tensor.shape.resize(std::max(tensor.shape.size(), expected.size()), 1);
}

// How many rows the inputs that batch have; 1 where there are none.
std::int64_t RowsOf(const ModelSignature& signature, const std::vector<Value>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].kind == Value::Kind::kTensor && signature.inputs[i].Batches()) {
      return inputs[i].tensor.shape.front();
    }
  }
  return 1;
}

Value Repeated(const Value& row, std::int64_t rows) {
  Tensor one = row.tensor;
  one.shape.insert(one.shape.begin(), 1);
  if (rows == 0) return Value::Of(SliceRows(one, 0, 0));
  return Value::Of(JoinRows(std::vector<const Tensor*>(static_cast<std::size_t>(rows), &one)));
}

}  // namespace

std::unexpected<Error> InvalidInput(std::string message) {
  return Fail(Code::kInvalid, std::move(message), "Model.InvalidInput");
}

std::unexpected<Error> WrongInput(const ValueInfo& info, std::string_view got) {
  return InvalidInput(
      fmt::format("input \"{}\": expected {}, got {}", info.name, Describe(info), got));
}

std::string Describe(const ValueInfo& info) {
  switch (info.kind) {
    case Value::Kind::kSequence:
      return "a sequence of " + (info.element.empty() ? "values" : Describe(info.element.front()));
    case Value::Kind::kMap:
      return fmt::format("a map of {} to {}", DatatypeName(info.key), DatatypeName(info.type));
    default:
      return std::string(DatatypeName(info.type)) +
             (info.shape ? ShapeText(*info.shape) : " of any shape");
  }
}

std::string Describe(const Tensor& tensor) {
  return std::string(DatatypeName(tensor.type)) + ShapeText(tensor.shape);
}

Result<std::size_t> ModelSignature::InputNamed(std::string_view wanted) const {
  return Named(inputs, "input", wanted);
}

Result<std::size_t> ModelSignature::OutputNamed(std::string_view wanted) const {
  return Named(outputs, "output", wanted);
}

std::vector<std::size_t> ModelSignature::Required() const {
  std::vector<std::size_t> required;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool optional = inputs[i].has_default || inputs[i].may_be_none || defaults.contains(i);
    if (!optional) required.push_back(i);
  }
  return required;
}

std::vector<std::size_t> ModelSignature::AllOutputs() const {
  std::vector<std::size_t> all(outputs.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

Result<void> Conform(const ValueInfo& info, Tensor& tensor, bool lenient) {
  if (!info.shape) return {};
  const Shape& expected = *info.shape;
  if (lenient && tensor.Count() == 0) CompleteEmpty(expected, tensor);
  if (lenient) AddOnes(expected, tensor);
  bool fits = tensor.shape.size() == expected.size();
  for (std::size_t i = 0; fits && i < expected.size(); ++i) {
    fits = expected[i] < 0 || expected[i] == tensor.shape[i];
  }
  if (!fits) return WrongInput(info, Describe(tensor));
  return {};
}

Result<void> ApplyDefaults(const ModelSignature& signature, std::vector<Value>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].kind != Value::Kind::kNone) continue;
    const ValueInfo& info = signature.inputs[i];
    const auto set = signature.defaults.find(i);
    if (set != signature.defaults.end()) {
      inputs[i] = info.Batches() ? Repeated(set->second, RowsOf(signature, inputs)) : set->second;
    } else if (!info.has_default && !info.may_be_none) {
      return InvalidInput(
          fmt::format("input \"{}\" is missing: expected {}", info.name, Describe(info)));
    }
  }
  return {};
}

}  // namespace samovar
