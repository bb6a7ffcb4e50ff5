#include <fmt/format.h>

#include <charconv>
#include <regex>

#include "main/template_parts.h"

namespace samovar {

namespace {

std::vector<std::string> SplitCommas(const std::string& text) {
  std::vector<std::string> out;
  std::size_t at = 0;
  for (;;) {
    const std::size_t comma = text.find(',', at);
    std::string item = text.substr(at, comma == std::string::npos ? comma : comma - at);
    const std::size_t from = item.find_first_not_of(' ');
    item =
        from == std::string::npos ? "" : item.substr(from, item.find_last_not_of(' ') - from + 1);
    out.push_back(std::move(item));
    if (comma == std::string::npos) return out;
    at = comma + 1;
  }
}

std::optional<double> AsNumber(const std::string& text) {
  double value = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last || text.empty()) return std::nullopt;
  return value;
}

const std::string* ScalarOf(const YamlNode& parameter, std::string_view name) {
  const YamlNode* node = parameter.Find(name);
  return node != nullptr && node->IsScalar() ? &node->scalar : nullptr;
}

// Whether `pattern` (a whole match, as CloudFormation's) takes the text; true for a pattern that
// this regular-expression dialect does not know.
bool FitsPattern(const std::string& text, const std::string& pattern) {
  if (text.size() > 4096) return false;
  try {
    return std::regex_match(text, std::regex(pattern));
  } catch (const std::regex_error&) {
    return true;
  }
}

// What is wrong with the value, or "".
std::string Complaint(const YamlNode& parameter, const std::string& type,
                      const std::string& value) {
  if (type == "Number" && !AsNumber(value)) return "a number";
  if (const YamlNode* allowed = parameter.Find("AllowedValues"); allowed != nullptr) {
    std::string names;
    for (const YamlNode& item : allowed->items) {
      if (item.scalar == value) return "";
      names += (names.empty() ? "" : ", ") + item.scalar;
    }
    return "one of " + names;
  }
  const auto bound = [&](std::string_view name) -> std::optional<double> {
    const std::string* text = ScalarOf(parameter, name);
    return text == nullptr ? std::nullopt : AsNumber(*text);
  };
  const double size = static_cast<double>(value.size());
  if (const auto min = bound("MinLength"); min && size < *min) {
    return fmt::format("at least {} characters", *min);
  }
  if (const auto max = bound("MaxLength"); max && size > *max) {
    return fmt::format("at most {} characters", *max);
  }
  if (type == "Number") {
    const double number = *AsNumber(value);
    if (const auto min = bound("MinValue"); min && number < *min) {
      return fmt::format("at least {}", *min);
    }
    if (const auto max = bound("MaxValue"); max && number > *max) {
      return fmt::format("at most {}", *max);
    }
  }
  const std::string* pattern = ScalarOf(parameter, "AllowedPattern");
  if (pattern != nullptr && !FitsPattern(value, *pattern)) return "a match of " + *pattern;
  return "";
}

Result<void> Bind(const YamlField& field, const TemplateInput& input, Symbols& symbols,
                  std::vector<Warning>& warnings) {
  const YamlNode& parameter = field.value;
  const auto at = [&](const std::string& what) {
    return Fail(Code::kInvalid, fmt::format("{}:{}: parameter {}: {}", input.file, parameter.line,
                                            field.name, what));
  };
  if (!parameter.IsMap()) return at("expected Type and perhaps Default");
  const std::string* type_text = ScalarOf(parameter, "Type");
  const std::string type = type_text == nullptr ? "String" : *type_text;
  std::string value;
  if (const auto given = input.parameters.find(field.name); given != input.parameters.end()) {
    value = given->second;
  } else if (const YamlNode* fallback = parameter.Find("Default");
             fallback != nullptr && !fallback->IsMap() && !fallback->IsList()) {
    value = fallback->scalar;
  } else {
    return at(fmt::format("no default and no value; give one: --parameter {}=VALUE", field.name));
  }
  const bool list = type == "CommaDelimitedList" || type.starts_with("List<");
  const std::string item_type = type == "List<Number>" ? "Number" : list ? "String" : type;
  const std::vector<std::string> items =
      list ? SplitCommas(value) : std::vector<std::string>{value};
  for (const std::string& item : items) {
    const std::string expected = Complaint(parameter, item_type, item);
    if (expected.empty()) continue;
    const bool secret = ScalarOf(parameter, "NoEcho") != nullptr;
    return at(fmt::format("expected {}, got \"{}\"", expected, secret ? "***" : item));
  }
  if (type.starts_with("AWS::SSM::")) {
    warnings.push_back({.line = parameter.line,
                        .message = fmt::format("parameter {}: {} is not looked up; \"{}\" is taken "
                                               "as it stands",
                                               field.name, type, value)});
  }
  if (list) {
    symbols.lists[field.name] = items;
  } else {
    symbols.refs[field.name] = value;
  }
  return {};
}

}  // namespace

Result<void> BindParameters(const YamlNode* parameters, const TemplateInput& input,
                            Symbols& symbols, std::vector<Warning>& warnings) {
  for (const auto& [name, value] : input.parameters) {
    if (parameters != nullptr && parameters->Find(name) != nullptr) continue;
    return Fail(Code::kInvalid,
                fmt::format("--parameter {}: {} has no parameter of that name", name, input.file));
  }
  if (parameters == nullptr) return {};
  for (const YamlField& field : parameters->fields) {
    TRY(Bind(field, input, symbols, warnings));
  }
  return {};
}

}  // namespace samovar
