#include "wire/lambda_input.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>

#include "base/encoding.h"
#include "wire/utf8.h"

namespace samovar {
namespace json = boost::json;
namespace {

constexpr std::size_t kMaxPrinted = 2048;    // of a value in a message
constexpr std::size_t kMaxViolations = 100;  // in one message

std::string_view TypeName(ShapeType type) {
  switch (type) {
    case ShapeType::kInteger:
      return "an Integer";
    case ShapeType::kLong:
      return "a Long";
    case ShapeType::kDouble:
      return "a Double";
    case ShapeType::kBoolean:
      return "a Boolean";
    case ShapeType::kBlob:
      return "a Blob";
    case ShapeType::kTimestamp:
      return "a Timestamp";
    default:
      return "a String";
  }
}

std::string_view KindName(const json::value& value) {
  if (value.is_string()) return "STRING_VALUE";
  if (value.is_number()) return "NUMBER_VALUE";
  if (value.is_bool()) return value.get_bool() ? "TRUE_VALUE" : "FALSE_VALUE";
  if (value.is_array()) return "START_ARRAY";
  return value.is_object() ? "START_OBJECT" : "VALUE_NULL";
}

std::unexpected<Error> WrongType(const Shape& shape, const json::value& value,
                                 const std::string& path) {
  std::string message;
  if (value.is_object() || value.is_array()) {
    message = "Start of structure or map or list found where not expected";
  } else if (shape.type == ShapeType::kStructure || shape.type == ShapeType::kMap) {
    message = "Expected a structure or map";
  } else if (shape.type == ShapeType::kList) {
    message = "Expected a list";
  } else {
    message = fmt::format("{} can not be converted to {}", KindName(value), TypeName(shape.type));
  }
  if (!path.empty()) message += " at '" + path + "'";
  return Fail(Code::kInvalid, std::move(message), "SerializationException");
}

// A value as AWS's messages print it: [a, b], {k=v}, text bare.
void Print(const json::value& value, std::string& out) {
  if (out.size() > kMaxPrinted) return;
  if (const auto* text = value.if_string()) {
    out += std::string_view(*text).substr(0, kMaxPrinted);
  } else if (const auto* list = value.if_array()) {
    out += '[';
    for (std::size_t i = 0; i < list->size() && out.size() <= kMaxPrinted; ++i) {
      if (i > 0) out += ", ";
      Print((*list)[i], out);
    }
    out += ']';
  } else if (const auto* object = value.if_object()) {
    out += '{';
    bool first = true;
    for (const auto& [key, member] : *object) {
      if (out.size() > kMaxPrinted) break;
      if (!first) out += ", ";
      first = false;
      out += std::string_view(key).substr(0, kMaxPrinted);
      out += '=';
      Print(member, out);
    }
    out += '}';
  } else if (value.is_double()) {
    double number = value.get_double();
    out += number == std::floor(number) ? fmt::format("{:.1f}", number) : fmt::format("{}", number);
  } else {
    out += json::serialize(value);
  }
}

std::string Printed(const Shape& shape, const json::value& value) {
  if (shape.secret) return "Value";
  std::string text = "Value '";
  Print(value, text);
  if (text.size() > kMaxPrinted) {
    std::size_t end = kMaxPrinted;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text.resize(end);
    text += "...";
  }
  return text + "'";
}

// "Member must satisfy constraint: [a, b]", or the constraint alone where there is one.
std::string Together(std::string_view what, const std::vector<std::string>& constraints) {
  if (constraints.size() == 1 && what == "Member") return constraints[0];
  return fmt::format("{} must satisfy constraint: [{}]", what, fmt::join(constraints, ", "));
}

constexpr const char* kNotNull = "Member must not be null";

}  // namespace

void InputChecker::Note(const std::string& printed, const std::string& path,
                        const std::vector<std::string>& broken) {
  for (const std::string& constraint : broken) {
    if (violations_.size() >= kMaxViolations) return;
    violations_.push_back(
        fmt::format("{} at '{}' failed to satisfy constraint: {}", printed, path, constraint));
  }
}

void InputChecker::Missing(const std::string& path) { Note("Value null", path, {kNotNull}); }

Result<void> InputChecker::Verdict() const {
  if (violations_.empty()) return {};
  return Fail(Code::kInvalid,
              fmt::format("{} validation error{} detected: {}", violations_.size(),
                          violations_.size() == 1 ? "" : "s", fmt::join(violations_, "; ")),
              "ValidationException");
}

void InputChecker::CheckText(const Shape& shape, std::string_view text, const std::string& path) {
  std::vector<std::string> broken = shape.Broken(text);
  if (!broken.empty()) Note(Printed(shape, json::value(text)), path, broken);
}

Result<json::value> InputChecker::FromText(std::uint16_t index, std::string_view text,
                                           const std::string& path) {
  const Shape& shape = shapes_[index];
  json::value value(text);
  if (!IsUtf8(text)) {
    return Fail(Code::kInvalid, "Invalid UTF-8 at '" + path + "'", "SerializationException");
  }
  const char* end = text.data() + text.size();
  if (shape.type == ShapeType::kInteger || shape.type == ShapeType::kLong) {
    std::int64_t number = 0;
    auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end) return WrongType(shape, value, path);
    value = number;
  } else if (shape.type == ShapeType::kDouble) {
    double number = 0;
    auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end) return WrongType(shape, value, path);
    value = number;
  } else if (shape.type == ShapeType::kBoolean) {
    if (text != "true" && text != "false") return WrongType(shape, value, path);
    value = text == "true";
  }
  return FromJson(index, std::move(value), path);
}

Result<json::value> InputChecker::FromJson(std::uint16_t index, json::value value,
                                           const std::string& path) {
  const Shape& shape = shapes_[index];
  switch (shape.type) {
    case ShapeType::kStructure:
      return Structure(shape, std::move(value), path);
    case ShapeType::kList:
      return List(shape, std::move(value), path);
    case ShapeType::kMap:
      return Map(shape, std::move(value), path);
    case ShapeType::kInteger:
    case ShapeType::kLong:
    case ShapeType::kDouble:
      return Number(shape, std::move(value), path);
    case ShapeType::kBoolean:
      if (!value.is_bool()) return WrongType(shape, value, path);
      return value;
    case ShapeType::kTimestamp:
      if (!value.is_number() && !value.is_string()) return WrongType(shape, value, path);
      return value;
    case ShapeType::kBlob: {
      if (!value.is_string()) return WrongType(shape, value, path);
      auto bytes = Base64Decode(value.get_string());
      if (!bytes) return WrongType(shape, value, path);
      std::vector<std::string> broken = shape.BrokenCount(bytes->size());
      if (!broken.empty()) Note(Printed(shape, value), path, broken);
      return value;
    }
    case ShapeType::kString:
      break;
  }
  if (!value.is_string()) return WrongType(shape, value, path);
  CheckText(shape, value.get_string(), path);
  return value;
}

Result<json::value> InputChecker::Number(const Shape& shape, json::value value,
                                         const std::string& path) {
  if (!value.is_number()) return WrongType(shape, value, path);
  double number = value.to_number<double>();
  if (shape.type == ShapeType::kDouble) {
    value = number;
  } else {
    bool whole = value.is_int64() || (value.is_double() && number == std::floor(number));
    double bound = shape.type == ShapeType::kLong ? 0x1p62 : 0x1p31;
    if (!whole || number >= bound || number < -bound) return WrongType(shape, value, path);
    value = static_cast<std::int64_t>(number);
  }
  std::vector<std::string> broken = shape.Broken(number);
  if (!broken.empty()) Note(Printed(shape, value), path, broken);
  return value;
}

Result<json::value> InputChecker::Structure(const Shape& shape, json::value value,
                                            const std::string& path) {
  if (!value.is_object()) return WrongType(shape, value, path);
  json::object& from = value.get_object();
  json::object out;
  for (const ShapeMember& member : shape.members) {
    std::string member_path = path.empty() ? member.path_name : path + "." + member.path_name;
    json::value* found = from.if_contains(member.wire_name);
    if (!found || found->is_null()) {
      if (member.required) Missing(member_path);
      continue;
    }
    TRY(json::value made, FromJson(member.shape, std::move(*found), member_path));
    out.insert_or_assign(member.name, std::move(made));
  }
  return out;
}

bool InputChecker::Breaks(const Shape& shape, const json::value& value) const {
  if (const auto* text = value.if_string()) return !shape.Broken(std::string_view(*text)).empty();
  if (value.is_number()) return !shape.Broken(value.to_number<double>()).empty();
  return value.is_null();
}

void InputChecker::CheckList(const Shape& shape, const json::array& list, const std::string& path) {
  std::vector<std::string> broken = shape.BrokenCount(list.size());
  const Shape& of = shapes_[shape.of];
  for (const json::value& member : list) {
    if (!Breaks(of, member)) continue;
    std::vector<std::string> all = of.Constraints();
    if (!shape.null_members) all.emplace_back(kNotNull);
    broken.push_back(Together("Member", all));
    break;
  }
  if (!broken.empty()) Note(Printed(shape, list), path, broken);
}

Result<json::value> InputChecker::List(const Shape& shape, json::value value,
                                       const std::string& path) {
  if (!value.is_array()) return WrongType(shape, value, path);
  json::array& list = value.get_array();
  const Shape& of = shapes_[shape.of];
  bool scalar =
      of.type != ShapeType::kStructure && of.type != ShapeType::kList && of.type != ShapeType::kMap;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_null()) continue;
    // A scalar's violations are told of the whole list, so its own walk only checks the type.
    InputChecker alone(shapes_);
    InputChecker& checker = scalar ? alone : *this;
    std::string member_path = scalar ? path : fmt::format("{}.{}.member", path, i + 1);
    TRY(list[i], checker.FromJson(shape.of, std::move(list[i]), member_path));
  }
  CheckList(shape, list, path);
  return value;
}

Result<json::value> InputChecker::Map(const Shape& shape, json::value value,
                                      const std::string& path) {
  if (!value.is_object()) return WrongType(shape, value, path);
  json::object& map = value.get_object();
  const Shape& key_shape = shapes_[shape.key];
  const Shape& of = shapes_[shape.of];
  std::vector<std::string> broken = shape.BrokenCount(map.size());
  bool bad_key = false;
  bool bad_value = false;
  for (auto& member : map) {
    bad_key |= !key_shape.Broken(std::string_view(member.key())).empty();
    if (!member.value().is_null()) {
      InputChecker alone(shapes_);
      TRY(member.value(), alone.FromJson(shape.of, std::move(member.value()), path));
    }
    bad_value |= Breaks(of, member.value());
  }
  if (bad_key) broken.push_back(Together("Map keys", key_shape.Constraints()));
  if (bad_value) {
    std::vector<std::string> all = of.Constraints();
    all.emplace_back(kNotNull);
    broken.push_back(Together("Map value", all));
  }
  if (!broken.empty()) Note(Printed(shape, value), path, broken);
  return value;
}

}  // namespace samovar
