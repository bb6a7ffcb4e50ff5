#include "models/event_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "models/json_input.h"
#include "models/json_text.h"

namespace samovar {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// "outputs": ["name", ...], or all.
Result<std::vector<std::size_t>> WantedOutputs(const ModelSignature& signature, object event) {
  element json;
  if (event["outputs"].get(json) != simdjson::SUCCESS) return signature.AllOutputs();
  array names;
  if (json.get(names) != simdjson::SUCCESS) {
    return InvalidInput("\"outputs\" must be a list of names");
  }
  std::vector<std::size_t> wanted;
  for (element name : names) {
    std::string_view text;
    if (name.get(text) != simdjson::SUCCESS) {
      return InvalidInput("\"outputs\" must be a list of names");
    }
    TRY(wanted.emplace_back(), signature.OutputNamed(text));
  }
  if (wanted.empty()) return InvalidInput("\"outputs\" names none");
  return wanted;
}

Result<ModelCall> NewCall(const ModelSignature& signature, object event, PayloadForm answer) {
  ModelCall call{.answer = answer, .inputs = {}, .outputs = {}};
  call.inputs.resize(signature.inputs.size());
  TRY(call.outputs, WantedOutputs(signature, event));
  return call;
}

// Rows are objects of the inputs' names.
Result<void> FromObjects(const ModelSignature& signature, const array& rows, ModelCall& call) {
  std::vector<std::vector<element>> columns(signature.inputs.size());
  std::size_t count = 0;
  for (element row : rows) {
    object fields;
    if (row.get(fields) != simdjson::SUCCESS) {
      return InvalidInput(fmt::format("instance {} is no object, others are", count));
    }
    for (auto [name, value] : fields) {
      TRY(const std::size_t index, signature.InputNamed(name));
      columns[index].push_back(value);
      if (columns[index].size() != count + 1) {
        return InvalidInput(
            fmt::format("instance {}: input \"{}\" is given twice, or is missing "
                        "in an instance before it",
                        count, name));
      }
    }
    ++count;
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].empty()) continue;
    if (columns[i].size() != count) {
      return InvalidInput(fmt::format("instance {}: input \"{}\" is missing: expected {}",
                                      columns[i].size(), signature.inputs[i].name,
                                      Describe(signature.inputs[i])));
    }
    TRY(call.inputs[i], ValueFromRows(signature.inputs[i], columns[i]));
  }
  return {};
}

// How many values of a flat row one input takes; nullopt where that is open.
std::optional<std::size_t> Width(const ValueInfo& info) {
  if (info.kind != Value::Kind::kTensor || !info.shape || info.shape->empty()) return std::nullopt;
  return ElementCount(Shape(info.shape->begin() + 1, info.shape->end()));
}

// Rows are lists whose values go to the inputs in their order.
Result<void> SpreadColumns(const ModelSignature& signature, const std::vector<std::size_t>& inputs,
                           const array& rows, ModelCall& call) {
  std::vector<std::vector<element>> flat;
  for (element row : rows) {
    array list;
    if (row.get(list) != simdjson::SUCCESS) {
      return InvalidInput(
          fmt::format("instance {}: the model has {} inputs, so a list of their "
                      "values or an object of their names is expected",
                      flat.size(), inputs.size()));
    }
    flat.emplace_back(list.begin(), list.end());
  }
  std::size_t first = 0;
  for (std::size_t i : inputs) {
    const ValueInfo& info = signature.inputs[i];
    const auto width = Width(info);
    if (!width) return WrongInput(info, "rows without names");
    std::vector<Tensor> parts;
    for (const auto& row : flat) {
      if (row.size() < first + *width) {
        return WrongInput(info, fmt::format("rows of {} values", row.size()));
      }
      std::vector<element> cells(row.begin() + static_cast<std::ptrdiff_t>(first),
                                 row.begin() + static_cast<std::ptrdiff_t>(first + *width));
      ValueInfo part = info;
      part.shape.reset();
      TRY(Value values, ValueFromRows(part, cells));
      if (values.tensor.shape.size() != 1) return WrongInput(info, "lists within a row");
      values.tensor.shape = *info.shape;
      values.tensor.shape.front() = 1;
      parts.push_back(std::move(values.tensor));
    }
    std::vector<const Tensor*> pointers;
    for (const Tensor& part : parts) pointers.push_back(&part);
    Tensor tensor = parts.empty() ? Tensor::Of(info.type, {0}) : JoinRows(pointers);
    TRY(Conform(info, tensor, true));
    call.inputs[i] = Value::Of(std::move(tensor));
    first += *width;
  }
  const bool exact =
      std::ranges::all_of(flat, [&](const auto& row) { return row.size() == first; });
  if (!exact) return InvalidInput(fmt::format("expected rows of {} values", first));
  return {};
}

bool IsRows(const Value& value, std::size_t rows) {
  if (value.kind == Value::Kind::kSequence) return value.items.size() == rows;
  return value.kind == Value::Kind::kTensor && !value.tensor.shape.empty() &&
         static_cast<std::size_t>(value.tensor.shape.front()) == rows;
}

std::size_t RowsOf(const Value& value) {
  if (value.kind == Value::Kind::kSequence) return value.items.size();
  if (value.kind != Value::Kind::kTensor || value.tensor.shape.empty()) return 0;
  return static_cast<std::size_t>(value.tensor.shape.front());
}

void AppendRowOf(const Value& value, std::size_t row, std::string& out) {
  if (value.kind == Value::Kind::kSequence) return AppendValue(value.items[row], out);
  AppendRow(value.tensor, row, out);
}

void AppendNamed(const ModelSignature& signature, const ModelCall& call,
                 const std::vector<Value>& outputs, std::optional<std::size_t> row,
                 std::string& out) {
  out += '{';
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (i > 0) out += ',';
    AppendJsonString(signature.outputs[call.outputs[i]].name, out);
    out += ':';
    row ? AppendRowOf(outputs[i], *row, out) : AppendValue(outputs[i], out);
  }
  out += '}';
}

}  // namespace

Result<ModelCall> DecodeInstances(const ModelSignature& signature, object event) {
  TRY(ModelCall call, NewCall(signature, event, PayloadForm::kInstances));
  array rows;
  if (event["instances"].get(rows) != simdjson::SUCCESS) {
    return InvalidInput("\"instances\" must be a list of rows");
  }
  const auto required = signature.Required();
  const bool objects = rows.begin() != rows.end() && (*rows.begin()).is_object();
  if (objects) {
    TRY(FromObjects(signature, rows, call));
  } else if (required.size() == 1) {
    const ValueInfo& info = signature.inputs[required.front()];
    TRY(call.inputs[required.front()], ValueFromJson(info, event["instances"].value_unsafe()));
  } else {
    TRY(SpreadColumns(signature, required, rows, call));
  }
  return call;
}

Result<ModelCall> DecodeNamedInputs(const ModelSignature& signature, object event) {
  TRY(ModelCall call, NewCall(signature, event, PayloadForm::kEvent));
  object inputs;
  if (event["inputs"].get(inputs) != simdjson::SUCCESS) {
    return InvalidInput("\"inputs\" must be an object of inputs by name");
  }
  for (auto [name, json] : inputs) {
    TRY(const std::size_t index, signature.InputNamed(name));
    TRY(call.inputs[index], ValueFromJson(signature.inputs[index], json));
  }
  return call;
}

std::string EncodeOutputs(const ModelSignature& signature, const ModelCall& call,
                          const std::vector<Value>& outputs) {
  std::string out = "{\"outputs\":";
  AppendNamed(signature, call, outputs, std::nullopt, out);
  out += '}';
  return out;
}

std::string EncodePredictions(const ModelSignature& signature, const ModelCall& call,
                              const std::vector<Value>& outputs) {
  const std::size_t rows = RowsOf(outputs.front());
  const bool by_row =
      std::ranges::all_of(outputs, [rows](const Value& value) { return IsRows(value, rows); });
  std::string out = "{\"predictions\":";
  if (outputs.size() == 1) {
    AppendValue(outputs.front(), out);
  } else if (!by_row) {
    AppendNamed(signature, call, outputs, std::nullopt, out);
  } else {
    out += '[';
    for (std::size_t row = 0; row < rows; ++row) {
      if (row > 0) out += ',';
      AppendNamed(signature, call, outputs, row, out);
    }
    out += ']';
  }
  out += '}';
  return out;
}

}  // namespace samovar
