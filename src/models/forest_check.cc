#include "models/forest_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <random>

#include "models/random_rows.h"

namespace samovar {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBudget{200};  // what comes after the first three may be cut
constexpr std::size_t kBatches[] = {1, 1, 1, 2, 5, 9, 70, 64};

class Check {
 public:
  Check(OnnxModel& plain, OnnxModel& forests, const ModelSignature& signature)
      : plain_(plain), forests_(forests), signature_(signature) {
    for (std::size_t i : signature.Required()) batches_ &= signature.inputs[i].Batches();
  }

  ForestVerdict Run() {
    const auto begin = steady_clock::now();
    std::size_t number = 0;
    for (std::size_t rows : kBatches) {
      if (++number > 3 && steady_clock::now() - begin > kBudget) break;
      const std::vector<Value> inputs = Inputs(batches_ ? rows : 1);
      // A run may use its inputs as scratch memory.
      auto one = inputs;
      auto other = inputs;
      const auto want = plain_.Run(one, signature_.AllOutputs());
      if (!want) return {false, "it fails on random rows: " + want.error().message};
      const auto got = forests_.Run(other, signature_.AllOutputs());
      if (!got) return {false, "Samovar's fail: " + got.error().message};
      if (!SameAnswers(*want, *got)) {
        return {false, fmt::format("Samovar's answers differ on {} random rows", rows)};
      }
    }
    return {true, ""};
  }

 private:
  std::vector<Value> Inputs(std::size_t rows) {
    std::vector<ModelCall> calls;
    for (std::size_t i = 0; i < rows; ++i) {
      calls.push_back(RandomRow(signature_, random_));
      for (Value& input : calls.back().inputs) Bend(input);
      ++rows_;
    }
    if (rows == 1) return calls.front().inputs;
    std::vector<Value> inputs(calls.front().inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (calls.front().inputs[i].kind != Value::Kind::kTensor) continue;
      std::vector<const Tensor*> parts;
      for (const ModelCall& call : calls) parts.push_back(&call.inputs[i].tensor);
      inputs[i] = Value::Of(JoinRows(parts));
    }
    return inputs;
  }

  // Every third row stays as it is, one lies on limits, and one is full of oddities.
  void Bend(Value& input) {
    if (input.kind != Value::Kind::kTensor || input.tensor.type != ElementType::kFloat) return;
    auto* values = reinterpret_cast<float*>(input.tensor.bytes.data());
    const std::size_t count = input.tensor.Count();
    if (rows_ % 3 == 0) return;
    for (const Forest* forest : forests_.Forests()) {
      if (forest->Width() <= count) forest->Provoke(random_, values);
    }
    if (rows_ % 3 == 1) return;
    using Limits = std::numeric_limits<float>;
    constexpr float kOddities[] = {
        Limits::quiet_NaN(),  Limits::infinity(), -Limits::infinity(), 0.0f, -0.0f,
        Limits::denorm_min(), Limits::max(),      Limits::lowest()};
    for (std::size_t i = 0; i < count; ++i) {
      if (random_() % 4 == 0) values[i] = kOddities[random_() % std::size(kOddities)];
    }
  }

  OnnxModel& plain_;
  OnnxModel& forests_;
  const ModelSignature& signature_;
  std::mt19937 random_{1};  // the same rows at every start
  std::size_t rows_ = 0;
  bool batches_ = true;
};

bool SameInfo(const ValueInfo& a, const ValueInfo& b) {
  return a.name == b.name && a.kind == b.kind && a.type == b.type && a.key == b.key &&
         a.shape == b.shape && std::ranges::equal(a.element, b.element, SameInfo);
}

}  // namespace

ForestVerdict CheckForests(OnnxModel& plain, OnnxModel& forests, const ModelSignature& signature) {
  const bool alike = std::ranges::equal(plain.Inputs(), forests.Inputs(), SameInfo) &&
                     std::ranges::equal(plain.Outputs(), forests.Outputs(), SameInfo);
  if (!alike) return {false, "its outputs cannot be described without ONNX Runtime's"};
  return Check(plain, forests, signature).Run();
}

}  // namespace samovar
