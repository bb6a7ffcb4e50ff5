#include "models/flat_output.h"

#include <fmt/format.h>

namespace samovar {
namespace {

std::unexpected<Error> NoTensor(const ValueInfo& info, std::string_view why) {
  return Fail(Code::kUnsupported,
              fmt::format("output \"{}\" is {}; this form of payload cannot carry it, the JSON "
                          "event {{\"inputs\": ...}} can",
                          info.name, why),
              "Model.UnsupportedOutput");
}

bool SameKeys(const Tensor& a, const Tensor& b) {
  return a.shape == b.shape && a.bytes == b.bytes && a.strings == b.strings;
}

}  // namespace

Result<FlatOutput> Flatten(const ValueInfo& info, const Value& value) {
  if (value.kind == Value::Kind::kTensor) return FlatOutput{value.tensor};
  if (value.kind == Value::Kind::kMap) {
    FlatOutput flat{value.items[1].tensor, value.items[0]};
    return flat;
  }
  if (value.kind == Value::Kind::kNone) return NoTensor(info, "empty");
  if (value.items.empty()) {
    Shape shape{0, 0};
    if (!info.element.empty() && info.element[0].kind == Value::Kind::kTensor) shape = {0};
    return FlatOutput{Tensor::Of(info.type, shape)};
  }
  FlatOutput flat;
  std::vector<Tensor> rows;
  for (const Value& item : value.items) {
    const bool map = item.kind == Value::Kind::kMap;
    if (!map && item.kind != Value::Kind::kTensor) return NoTensor(info, "a sequence of sequences");
    if (map && rows.empty()) flat.keys = item.items[0];
    if (map && !SameKeys(item.items[0].tensor, flat.keys.tensor)) {
      return NoTensor(info, "a sequence of maps with different keys");
    }
    rows.push_back(map ? item.items[1].tensor : item.tensor);
    Shape& shape = rows.back().shape;
    shape.insert(shape.begin(), 1);
    if (shape != rows.front().shape || !RowsAreWhole(rows.back())) {
      return NoTensor(info, "a sequence of tensors of different shapes");
    }
  }
  std::vector<const Tensor*> parts;
  for (const Tensor& row : rows) parts.push_back(&row);
  flat.tensor = JoinRows(parts);
  return flat;
}

}  // namespace samovar
