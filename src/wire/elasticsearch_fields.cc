// What an index's mapping says of values: of queries, and of documents.

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>

#include "wire/elasticsearch.h"

namespace samovar::es {

namespace json = boost::json;

namespace {

enum class Kind : std::uint8_t { kUnmapped, kNumber, kText, kBoolean, kDate, kOther };

struct Field {
  Kind kind = Kind::kUnmapped;
  std::string type;
  bool coerced = true;  // text that is a number counts as one
  bool any = false;     // what does not fit is kept as it is
};

Kind KindOf(std::string_view type) {
  for (const std::string_view number : {"long", "integer", "short", "byte", "double", "float",
                                        "half_float", "scaled_float", "unsigned_long"}) {
    if (type == number) return Kind::kNumber;
  }
  for (const std::string_view text :
       {"text", "keyword", "wildcard", "constant_keyword", "counted_keyword", "match_only_text"}) {
    if (type == text) return Kind::kText;
  }
  if (type == "boolean") return Kind::kBoolean;
  return type == "date" || type == "date_nanos" ? Kind::kDate : Kind::kOther;
}

Field FieldIn(const Mapping& mapping, std::string_view name) {
  const auto* properties = mapping.mappings.if_contains("properties");
  const auto* said =
      properties && properties->is_object() ? properties->get_object().if_contains(name) : nullptr;
  const auto* type = said && said->is_object() ? said->get_object().if_contains("type") : nullptr;
  if (!type || !type->is_string()) return {};
  const auto flag = [&](std::string_view option, bool value) {
    const auto* found = said->get_object().if_contains(option);
    return found && found->is_bool() && found->get_bool() == value;
  };
  return {KindOf(type->get_string()), std::string(type->get_string()), !flag("coerce", false),
          flag("ignore_malformed", true)};
}

template <class Number>
std::optional<Number> Whole(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<json::value> NumberIn(const json::value& value) {
  if (value.is_number()) return value;
  if (!value.is_string()) return std::nullopt;
  const std::string_view text = value.get_string();
  if (const auto number = Whole<std::int64_t>(text)) return *number;
  if (const auto number = Whole<double>(text); number && std::isfinite(*number)) return *number;
  return std::nullopt;
}

std::optional<json::value> TruthIn(const json::value& value) {
  if (value.is_bool()) return value;
  if (value == "true") return true;
  if (value == "false") return false;
  return std::nullopt;
}

// As an index of text has it.
json::value TextOf(const json::value& value) {
  return value.is_string() || value.is_null() ? value : json::value(json::serialize(value));
}

std::string Shown(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

std::unexpected<Error> NoQuery(const std::string& why) {
  return Fail(Code::kInvalid, "failed to create query: " + why, "query_shard_exception");
}

Result<json::value> AsNumber(const json::value& value) {
  if (auto number = NumberIn(value)) return std::move(*number);
  return NoQuery("For input string: \"" + Shown(value) + "\"");
}

// "now-1d/d", "2026-01-01||+1M": it would be compared as text, and find something else.
Result<void> CheckDate(const json::value& value) {
  const std::string text = value.is_string() ? std::string(value.get_string()) : "";
  const bool now = text == "now" || (text.starts_with("now") && text.size() > 3 &&
                                     std::string_view("+-/").find(text[3]) != std::string::npos);
  if (!now && text.find("||") == text.npos) return {};
  return NoQuery("date math is not supported here: [" + text + "]");
}

void AddOnce(json::array& values, json::value value) {
  for (const auto& known : values) {
    if (known == value) return;
  }
  values.push_back(std::move(value));
}

// Where a field holds both, as no mapping says which it is.
void AddAsTextAndAsItself(json::array& values, const json::value& value, bool only_as_written) {
  AddOnce(values, value);
  AddOnce(values, TextOf(value));
  for (auto& other : {NumberIn(value), TruthIn(value)}) {
    if (other && (!only_as_written || Shown(*other) == Shown(value))) AddOnce(values, *other);
  }
}

Result<json::value> Fitting(const Field& field, std::string_view name, const json::value& value) {
  if (value.is_null() || value == "") return value;
  if (value.is_array()) {
    json::array all;
    for (const auto& element : value.get_array()) {
      TRY(auto fitting, Fitting(field, name, element));
      all.push_back(std::move(fitting));
    }
    return all;
  }
  const bool number = field.kind == Kind::kNumber;
  auto fitting = number ? NumberIn(value) : TruthIn(value);
  if (fitting && (field.coerced || !number || value.is_number())) return std::move(*fitting);
  if (field.any) return value;
  return Fail(Code::kInvalid,
              "failed to parse field [" + std::string(name) + "] of type [" + field.type +
                  "]. Preview of field's value: '" + Shown(value) + "'",
              "document_parsing_exception");
}

}  // namespace

Result<json::array> ValuesLike(const Mapping& mapping, std::string_view name,
                               const json::array& asked) {
  const Field field = FieldIn(mapping, name);
  json::array values;
  for (const json::value& value : asked) {
    if (value.is_null() || value.is_structured()) {
      values.push_back(value);  // a filter refuses what it cannot compare
    } else if (field.kind == Kind::kNumber) {
      TRY(auto number, AsNumber(value));
      values.push_back(std::move(number));
    } else if (field.kind == Kind::kBoolean) {
      auto truth = TruthIn(value);
      if (!truth) {
        return NoQuery("Can't parse boolean value [" + Shown(value) +
                       "], expected [true] or [false]");
      }
      values.push_back(std::move(*truth));
    } else if (field.kind == Kind::kUnmapped || field.kind == Kind::kText) {
      AddAsTextAndAsItself(values, value, field.kind == Kind::kText);
    } else {
      if (field.kind == Kind::kDate) {
        TRY(CheckDate(value));
      }
      values.push_back(value);
    }
  }
  return values;
}

Result<std::vector<json::object>> BoundsLike(const Mapping& mapping, std::string_view name,
                                             const json::object& asked) {
  const Field field = FieldIn(mapping, name);
  json::object numbers;
  json::object texts;
  bool text = false;
  for (const auto& [bound, value] : asked) {
    if (field.kind == Kind::kNumber) {
      TRY(numbers[bound], AsNumber(value));
      continue;
    }
    TRY(CheckDate(value));
    text = text || value.is_string();
    texts[bound] = TextOf(value);
    if (auto number = NumberIn(value)) numbers[bound] = std::move(*number);
  }
  if (field.kind == Kind::kNumber) return std::vector{std::move(numbers)};
  if (field.kind == Kind::kDate || field.kind == Kind::kOther) return std::vector{asked};
  if (numbers.size() < asked.size()) return std::vector{text ? std::move(texts) : asked};
  return std::vector{std::move(numbers), std::move(texts)};
}

Result<void> FitDocument(const Mapping& mapping, json::object& source) {
  for (auto& [name, value] : source) {
    const Field field = FieldIn(mapping, name);
    if (field.kind != Kind::kNumber && field.kind != Kind::kBoolean) continue;
    TRY(value, Fitting(field, name, value));
  }
  return {};
}

}  // namespace samovar::es
