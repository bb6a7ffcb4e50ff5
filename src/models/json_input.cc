#include "models/json_input.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <optional>

namespace samovar {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::size_t kMostDimensions = 32;

std::string_view KindName(element json) {
  switch (json.type()) {
    case element_type::ARRAY:
      return "a list";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "a bool";
    case element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

std::size_t SizeOf(const array& list) {
  constexpr std::size_t kSaturated = 0xFFFFFF;  // what simdjson keeps of a count
  const std::size_t size = list.size();
  if (size < kSaturated) return size;
  return static_cast<std::size_t>(std::distance(list.begin(), list.end()));
}

std::optional<double> SpelledOut(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

// Puts JSON's scalars into a tensor, one after another.
class Filler {
 public:
  Filler(const ValueInfo& info, Tensor& tensor) : info_(info), tensor_(tensor) {
    pair_ = IsComplex(tensor.type) ? 1 : 0;
  }

  // `depth`: which dimension's list is expected here.
  Result<void> Fill(element json, std::size_t depth) {
    if (depth == tensor_.shape.size() + pair_) return Scalar(json);
    array list;
    if (json.get(list) != simdjson::SUCCESS) {
      return Ragged(depth, fmt::format("{} instead of a list", KindName(json)));
    }
    const std::size_t expected =
        depth == tensor_.shape.size() ? 2 : static_cast<std::size_t>(tensor_.shape[depth]);
    const std::size_t size = SizeOf(list);
    if (size != expected) {
      return Ragged(depth, fmt::format("{} items instead of {}", size, expected));
    }
    if (depth + 1 == tensor_.shape.size() + pair_ && Quick(list)) return {};
    for (element item : list) TRY(Fill(item, depth + 1));
    return {};
  }

  Result<void> FillAnyNesting(element json) {
    array list;
    if (json.get(list) != simdjson::SUCCESS) {
      if (index_ >= Parts()) return TooMany();
      return Scalar(json);
    }
    for (element item : list) TRY(FillAnyNesting(item));
    return {};
  }

  Result<void> CheckFull() const {
    if (index_ == Parts()) return {};
    return WrongInput(info_, fmt::format("{} values for {}", index_, Describe(tensor_)));
  }

 private:
  std::size_t Parts() const { return tensor_.Count() << pair_; }

  std::unexpected<Error> TooMany() const {
    return WrongInput(info_, "more values than " + Describe(tensor_) + " has");
  }

  std::unexpected<Error> Ragged(std::size_t depth, std::string_view what) const {
    return WrongInput(info_, fmt::format("ragged lists: {} in dimension {}", what, depth));
  }

  // The innermost list of the usual types. False: nothing is done, go the slow way.
  bool Quick(const array& list) {
    const std::size_t begin = index_;
    if (tensor_.type == ElementType::kFloat) {
      auto* to = reinterpret_cast<float*>(tensor_.bytes.data());
      for (element item : list) {
        double value = 0;
        if (item.get(value) != simdjson::SUCCESS) return Undo(begin);
        to[index_++] = static_cast<float>(value);
      }
      return true;
    }
    if (tensor_.type == ElementType::kDouble) {
      auto* to = reinterpret_cast<double*>(tensor_.bytes.data());
      for (element item : list) {
        if (item.get(to[index_]) != simdjson::SUCCESS) return Undo(begin);
        ++index_;
      }
      return true;
    }
    return false;
  }

  bool Undo(std::size_t begin) {
    index_ = begin;
    return false;
  }

  Result<void> Scalar(element json) {
    std::string_view text;
    const bool is_text = json.get(text) == simdjson::SUCCESS;
    if (tensor_.IsText()) {
      if (!is_text) return WrongInput(info_, fmt::format("{} as a string", KindName(json)));
      tensor_.strings[index_++] = text;
      return {};
    }
    if (is_text || json.is_null()) return Unusual(json, text);
    bool stored = false;
    switch (json.type()) {
      case element_type::INT64:
        stored = Put(json.get_int64().value_unsafe());
        break;
      case element_type::UINT64:
        stored = Put(json.get_uint64().value_unsafe());
        break;
      case element_type::DOUBLE:
        stored = Put(json.get_double().value_unsafe());
        break;
      case element_type::BOOL:
        stored = Put(std::int64_t{json.get_bool().value_unsafe()});
        break;
      default:
        return WrongInput(info_, fmt::format("{} instead of a number", KindName(json)));
    }
    if (!stored) {
      return WrongInput(info_, fmt::format("the value {}, which {} cannot hold",
                                           simdjson::minify(json), DatatypeName(tensor_.type)));
    }
    return {};
  }

  Result<void> Unusual(element json, std::string_view text) {
    const auto value = json.is_null() ? SpelledOut("NaN") : SpelledOut(text);
    if (!value || !(IsFloating(tensor_.type) || IsComplex(tensor_.type))) {
      return WrongInput(info_, fmt::format("{} instead of a number", KindName(json)));
    }
    Put(*value);
    return {};
  }

  template <class Number>
  bool Put(Number value) {
    return Store(tensor_.type, tensor_.bytes.data(), index_++, value);
  }

  const ValueInfo& info_;
  Tensor& tensor_;
  std::size_t index_ = 0;
  std::size_t pair_ = 0;  // complex numbers are lists of two
};

// The shape that the first items of nested lists show, below `lead`.
Result<Shape> ShapeFrom(const ValueInfo& info, element json, Shape lead) {
  array list;
  while (json.get(list) == simdjson::SUCCESS) {
    if (lead.size() == kMostDimensions) return WrongInput(info, "lists nested too deep");
    lead.push_back(static_cast<std::int64_t>(SizeOf(list)));
    if (lead.back() == 0) return lead;
    json = *list.begin();
  }
  // The pair of a complex number is no dimension.
  if (IsComplex(info.type) && !lead.empty() && lead.back() == 2) lead.pop_back();
  return lead;
}

Result<Value> MapFromJson(const ValueInfo& info, element json) {
  simdjson::dom::object object;
  if (json.get(object) != simdjson::SUCCESS) return WrongInput(info, KindName(json));
  const auto size = static_cast<std::int64_t>(object.size());
  Value map{Value::Kind::kMap, {}, {}};
  map.items.push_back(Value::Of(Tensor::Of(info.key, {size})));
  map.items.push_back(Value::Of(Tensor::Of(info.type, {size})));
  Tensor& keys = map.items[0].tensor;
  Filler values(info, map.items[1].tensor);
  std::size_t index = 0;
  for (auto [key, value] : object) {
    if (keys.IsText()) {
      keys.strings[index] = key;
    } else {
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
      const bool whole = error == std::errc() && end == key.data() + key.size();
      if (!whole || !Store(keys.type, keys.bytes.data(), index, number)) {
        return WrongInput(info, fmt::format("the key \"{}\"", key));
      }
    }
    ++index;
    TRY(values.FillAnyNesting(value));
  }
  TRY(values.CheckFull());
  return map;
}

Result<Value> SequenceFromJson(const ValueInfo& info, element json) {
  array list;
  if (json.get(list) != simdjson::SUCCESS) return WrongInput(info, KindName(json));
  ValueInfo inner = info.element.front();
  inner.name = info.name;
  std::vector<Value> items;
  for (element item : list) {
    TRY(items.emplace_back(), ValueFromJson(inner, item));
  }
  return Value::Sequence(std::move(items));
}

}  // namespace

Result<Value> ValueFromJson(const ValueInfo& info, element json) {
  if (json.is_null() && (info.may_be_none || info.has_default)) return Value{};
  if (info.kind == Value::Kind::kMap) return MapFromJson(info, json);
  if (info.kind == Value::Kind::kSequence) return SequenceFromJson(info, json);
  TRY(Shape shape, ShapeFrom(info, json, {}));
  Tensor tensor = Tensor::Of(info.type, std::move(shape));
  TRY(Filler(info, tensor).Fill(json, 0));
  TRY(Conform(info, tensor, true));
  return Value::Of(std::move(tensor));
}

Result<Value> ValueFromRows(const ValueInfo& info, const std::vector<element>& rows) {
  if (info.kind != Value::Kind::kTensor) {
    return WrongInput(info, "rows; name the input under \"inputs\" instead");
  }
  Shape shape{0};
  if (!rows.empty()) {
    TRY(shape, ShapeFrom(info, rows.front(), {0}));
  }
  shape.front() = static_cast<std::int64_t>(rows.size());
  Tensor tensor = Tensor::Of(info.type, std::move(shape));
  Filler filler(info, tensor);
  for (const element& row : rows) TRY(filler.Fill(row, 1));
  TRY(Conform(info, tensor, true));
  return Value::Of(std::move(tensor));
}

Result<void> FillFlat(const ValueInfo& info, element json, Tensor& tensor) {
  Filler filler(info, tensor);
  TRY(filler.FillAnyNesting(json));
  return filler.CheckFull();
}

}  // namespace samovar
