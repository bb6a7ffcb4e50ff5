#include "models/batcher.h"

#include <algorithm>
#include <utility>

namespace samovar {
namespace {

std::size_t RowsIn(const Value& value) {
  if (value.kind == Value::Kind::kSequence) return value.items.size();
  if (value.kind != Value::Kind::kTensor || value.tensor.shape.empty()) return 0;
  return static_cast<std::size_t>(value.tensor.shape.front());
}

Value CutOut(const Value& value, std::size_t first, std::size_t rows) {
  if (value.kind == Value::Kind::kTensor) return Value::Of(SliceRows(value.tensor, first, rows));
  const auto begin = value.items.begin() + static_cast<std::ptrdiff_t>(first);
  return Value::Sequence({begin, begin + static_cast<std::ptrdiff_t>(rows)});
}

bool SameBesideRows(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == Value::Kind::kNone) return true;
  return a.kind == Value::Kind::kTensor && RowsAreWhole(a.tensor) &&
         std::ranges::equal(a.tensor.shape.begin() + 1, a.tensor.shape.end(),
                            b.tensor.shape.begin() + 1, b.tensor.shape.end());
}

}  // namespace

std::size_t RowsOf(const ModelCall& call) {
  std::size_t rows = 0;
  for (const Value& input : call.inputs) {
    if (input.kind == Value::Kind::kNone) continue;
    const std::size_t here = RowsIn(input);
    if (here == 0 || (rows != 0 && here != rows)) return 0;
    rows = here;
  }
  return rows;
}

bool CanBatch(const OnnxModel& model) {
  const auto row_like = [](const ValueInfo& info) {
    // A sequence of maps is what classifiers answer with, a map a row.
    const bool maps = info.kind == Value::Kind::kSequence && info.element.size() == 1 &&
                      info.element[0].kind == Value::Kind::kMap;
    return maps || info.Batches() || (info.kind == Value::Kind::kTensor && !info.shape);
  };
  const auto input_fits = [](const ValueInfo& info) { return info.Batches() || info.has_default; };
  return !model.Inputs().empty() && std::ranges::all_of(model.Inputs(), input_fits) &&
         std::ranges::any_of(model.Inputs(), &ValueInfo::Batches) &&
         std::ranges::all_of(model.Outputs(), row_like);
}

Batcher::Batcher(OnnxModel& model, std::size_t max_rows)
    : model_(model), max_rows_(CanBatch(model) ? max_rows : 1) {}

bool Batcher::Joins(const ModelCall& a, const ModelCall& b) const {
  if (a.outputs != b.outputs) return false;
  for (std::size_t i = 0; i < a.inputs.size(); ++i) {
    const bool batches = model_.Inputs()[i].Batches();
    const bool absent = a.inputs[i].kind == Value::Kind::kNone;
    if (!batches && !absent) return false;
    if (!SameBesideRows(a.inputs[i], b.inputs[i])) return false;
  }
  return true;
}

std::size_t Batcher::NextBatch(const std::vector<const ModelCall*>& calls) const {
  std::size_t rows = RowsOf(*calls.front());
  if (rows == 0) return 1;
  std::size_t count = 1;
  for (; count < calls.size(); ++count) {
    const std::size_t more = RowsOf(*calls[count]);
    if (more == 0 || rows + more > max_rows_ || !Joins(*calls.front(), *calls[count])) break;
    rows += more;
  }
  return count;
}

bool Batcher::MayGrow(const std::vector<const ModelCall*>& calls) const {
  std::size_t rows = 0;
  for (const ModelCall* call : calls) rows += RowsOf(*call);
  return max_rows_ > 1 && rows > 0 && rows < max_rows_ && NextBatch(calls) == calls.size();
}

Batcher::Outcome Batcher::RunTogether(const std::vector<ModelCall*>& calls) {
  std::vector<Value> joined(model_.Inputs().size());
  for (std::size_t i = 0; i < joined.size(); ++i) {
    if (calls.front()->inputs[i].kind == Value::Kind::kNone) continue;
    std::vector<const Tensor*> parts;
    for (const ModelCall* call : calls) parts.push_back(&call->inputs[i].tensor);
    joined[i] = Value::Of(JoinRows(parts));
  }
  return model_.Run(joined, calls.front()->outputs);
}

std::vector<Batcher::Outcome> Batcher::Run(const std::vector<ModelCall*>& calls) {
  std::vector<Outcome> outcomes;
  if (calls.size() > 1) {
    auto together = RunTogether(calls);
    if (!together && together.error().code == Code::kTimeout) {
      return {calls.size(), Outcome(std::unexpected(together.error()))};
    }
    std::size_t rows = 0;
    for (const ModelCall* call : calls) rows += RowsOf(*call);
    const bool apart = together && std::ranges::all_of(*together, [rows](const Value& output) {
                         return RowsIn(output) == rows && (output.kind != Value::Kind::kTensor ||
                                                           RowsAreWhole(output.tensor));
                       });
    if (together && !apart) max_rows_ = 1;
    std::size_t first = 0;
    for (std::size_t i = 0; apart && i < calls.size(); ++i) {
      const std::size_t own = RowsOf(*calls[i]);
      std::vector<Value> outputs;
      for (const Value& output : *together) outputs.push_back(CutOut(output, first, own));
      outcomes.emplace_back(std::move(outputs));
      first += own;
    }
    if (apart) return outcomes;
  }
  for (ModelCall* call : calls) outcomes.push_back(model_.Run(call->inputs, call->outputs));
  return outcomes;
}

}  // namespace samovar
