#include "wire/lambda_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value_to.hpp>

#include "base/error.h"
#include "wire/utf8.h"

namespace samovar {
namespace json = boost::json;
namespace {

std::string TextOf(const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  return value ? std::string(value->as_string()) : std::string();
}

std::vector<std::string> TextsOf(const json::object& from, std::string_view key) {
  std::vector<std::string> texts;
  if (const json::value* value = from.if_contains(key)) {
    for (const json::value& text : value->as_array()) texts.emplace_back(text.as_string());
  }
  return texts;
}

std::optional<double> BoundOf(const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  if (!value) return std::nullopt;
  return value->to_number<double>();
}

std::unique_ptr<RE2> Compile(const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  auto compiled = std::make_unique<RE2>(pattern, options);
  CHECK(compiled->ok());  // the generator's tables are wrong
  return compiled;
}

std::uint16_t IndexOf(const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  return value ? value->to_number<std::uint16_t>() : std::uint16_t{0};
}

bool Contains(const std::vector<std::string>& values, std::string_view value) {
  return std::ranges::find(values, value) != values.end();
}

std::string LowerFirst(std::string name) {
  if (!name.empty() && name[0] >= 'A' && name[0] <= 'Z') name[0] = static_cast<char>(name[0] + 32);
  return name;
}

}  // namespace

Shape::Shape(const json::object& from)
    : type(static_cast<ShapeType>(TextOf(from, "t").at(0))),
      low(BoundOf(from, "lo")),
      high(BoundOf(from, "hi")),
      pattern(TextOf(from, "re")),
      values(TextsOf(from, "enum")),
      unprinted(TextsOf(from, "also")),
      of(IndexOf(from, "of")),
      key(IndexOf(from, "key")),
      secret(from.contains("secret")),
      null_members(from.contains("null")) {
  if (!pattern.empty()) matches = Compile(from.contains("ok") ? TextOf(from, "ok") : pattern);
  if (from.contains("no")) refuses = Compile(TextOf(from, "no"));
  const json::value* list = from.if_contains("members");
  if (!list) return;
  for (const json::value& entry : list->as_array()) {
    const json::array& m = entry.as_array();
    std::string name(m[0].as_string());
    members.push_back({.name = name,
                       .path_name = LowerFirst(name),
                       .place = static_cast<Place>(m[1].as_string().at(0)),
                       .wire_name = std::string(m[2].as_string()),
                       .shape = m[3].to_number<std::uint16_t>(),
                       .required = m[4].as_bool()});
  }
}

std::string Shape::AtMost(std::string_view what) const {
  if (type == ShapeType::kDouble) {
    return fmt::format("Member must have {} less than or equal to {:.1f}", what, *high);
  }
  return fmt::format("Member must have {} less than or equal to {:.0f}", what, *high);
}

std::string Shape::AtLeast(std::string_view what) const {
  if (type == ShapeType::kDouble) {
    return fmt::format("Member must have {} greater than or equal to {:.1f}", what, *low);
  }
  return fmt::format("Member must have {} greater than or equal to {:.0f}", what, *low);
}

std::string Shape::InPattern() const {
  return "Member must satisfy regular expression pattern: " + pattern;
}

std::string Shape::InValues() const {
  return fmt::format("Member must satisfy enum value set: [{}]", fmt::join(values, ", "));
}

std::vector<std::string> Shape::Constraints() const {
  bool number =
      type == ShapeType::kInteger || type == ShapeType::kLong || type == ShapeType::kDouble;
  std::string_view what = number ? "value" : "length";
  std::vector<std::string> all;
  if (high) all.push_back(AtMost(what));
  if (low) all.push_back(AtLeast(what));
  if (!pattern.empty()) all.push_back(InPattern());
  if (!values.empty()) all.push_back(InValues());
  return all;
}

std::vector<std::string> Shape::Broken(std::string_view value) const {
  std::vector<std::string> broken;
  if (high || low) {
    auto length = static_cast<double>(Utf8Length(value));
    if (high && length > *high) broken.push_back(AtMost("length"));
    if (low && length < *low) broken.push_back(AtLeast("length"));
  }
  if (matches &&
      (!RE2::FullMatch(value, *matches) || (refuses && RE2::FullMatch(value, *refuses)))) {
    broken.push_back(InPattern());
  }
  if (!values.empty() && !Contains(values, value) && !Contains(unprinted, value)) {
    broken.push_back(InValues());
  }
  return broken;
}

std::vector<std::string> Shape::Broken(double value) const {
  std::vector<std::string> broken;
  if (high && value > *high) broken.push_back(AtMost("value"));
  if (low && value < *low) broken.push_back(AtLeast("value"));
  return broken;
}

std::vector<std::string> Shape::BrokenCount(std::size_t count) const {
  std::vector<std::string> broken;
  if (high && static_cast<double>(count) > *high) broken.push_back(AtMost("length"));
  if (low && static_cast<double>(count) < *low) broken.push_back(AtLeast("length"));
  return broken;
}

}  // namespace samovar
