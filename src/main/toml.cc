#include "main/toml.h"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <sstream>

namespace samovar {
namespace {

// As it would stand in a YAML document.
std::string TextOf(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  std::ostringstream out;  // dates and times
  node.visit([&](const auto& value) { out << value; });
  return out.str();
}

// The parser bounds the depth itself.
YamlNode Convert(const toml::node& node) {
  YamlNode out;
  out.line = static_cast<int>(node.source().begin.line);
  if (const auto* table = node.as_table()) {
    out.kind = YamlNode::Kind::kMap;
    for (const auto& [key, value] : *table) {
      out.fields.push_back({std::string(key.str()), Convert(value)});
      out.fields.back().value.line = static_cast<int>(key.source().begin.line);
    }
  } else if (const auto* list = node.as_array()) {
    out.kind = YamlNode::Kind::kList;
    for (const auto& item : *list) out.items.push_back(Convert(item));
  } else {
    out.kind = YamlNode::Kind::kScalar;
    out.scalar = TextOf(node);
    out.quoted = node.is_string();
  }
  return out;
}

}  // namespace

Result<YamlNode> ParseToml(const std::string& text, const std::string& name) {
  auto parsed = toml::parse(text, name);
  if (parsed) return Convert(parsed.table());
  const auto& error = parsed.error();
  return Fail(Code::kInvalid,
              fmt::format("{}:{}: {}", name, error.source().begin.line, error.description()));
}

}  // namespace samovar
