#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "main/template_parts.h"

namespace samovar {

Properties::Properties(const Resource& resource, const YamlNode& resolved, Intrinsics& intrinsics)
    : resource_(resource), resolved_(resolved), intrinsics_(intrinsics) {}

std::unexpected<Error> Properties::At(int line, std::string_view name,
                                      const std::string& what) const {
  return intrinsics_.At(line, fmt::format("{}.{}: {}", resource_.id, name, what));
}

const YamlNode* Properties::Take(std::string_view name) {
  read_.emplace(name);
  const YamlNode* node = resolved_.Find(name);
  return node != nullptr && node->IsNull() ? nullptr : node;
}

Result<std::string> Properties::Text(std::string_view name, std::string fallback) {
  const YamlNode* node = Take(name);
  if (node == nullptr) return fallback;
  if (!node->IsScalar()) return At(node->line, name, "expected a text");
  return node->scalar;
}

Result<std::optional<int>> Properties::Number(std::string_view name) {
  const YamlNode* node = Take(name);
  if (node == nullptr) return std::nullopt;
  const std::optional<int> value = NodeNumber(*node);
  if (!value) {
    return At(node->line, name, fmt::format("expected a whole number, got \"{}\"", node->scalar));
  }
  return value;
}

Result<std::vector<std::string>> Properties::Texts(std::string_view name) {
  std::vector<std::string> out;
  const YamlNode* node = Take(name);
  if (node == nullptr) return out;
  if (!node->IsList()) return At(node->line, name, "expected a list");
  for (const YamlNode& item : node->items) {
    if (!item.IsScalar()) return At(item.line, name, "expected a list of texts");
    out.push_back(item.scalar);
  }
  return out;
}

Result<std::map<std::string, std::string>> Properties::TextMap(std::string_view name) {
  std::map<std::string, std::string> out;
  const YamlNode* node = Take(name);
  if (node == nullptr) return out;
  if (node->IsList()) {  // CloudFormation's form of tags: [{Key, Value}]
    for (const YamlNode& item : node->items) {
      const YamlNode* key = item.Find("Key");
      const YamlNode* value = item.Find("Value");
      if (key == nullptr || value == nullptr || !value->IsScalar()) {
        return At(item.line, name, "expected Key and Value");
      }
      out[key->scalar] = value->scalar;
    }
    return out;
  }
  if (!node->IsMap()) return At(node->line, name, "expected a map");
  for (const YamlField& field : node->fields) {
    if (!field.value.IsScalar() && !field.value.IsNull()) {
      return At(field.value.line, fmt::format("{}.{}", name, field.name), "expected a text");
    }
    out[field.name] = field.value.scalar;
  }
  return out;
}

void Properties::Ignore(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) read_.emplace(name);
}

void Properties::Leave(std::string_view name, std::string_view why) {
  const YamlNode* node = Take(name);
  if (node == nullptr) return;
  intrinsics_.Warn(node->line, fmt::format("{}.{}: {}", resource_.id, name, why));
}

void Properties::WarnOfRest() {
  for (const YamlField& field : resolved_.fields) {
    if (read_.contains(field.name)) continue;
    intrinsics_.Warn(field.value.line,
                     fmt::format("{}.{} is not supported and left out", resource_.id, field.name));
  }
}

boost::json::value NodeJson(const YamlNode& node) {
  if (node.IsMap()) {
    boost::json::object out;
    for (const YamlField& field : node.fields) out[field.name] = NodeJson(field.value);
    return out;
  }
  if (node.IsList()) {
    boost::json::array out;
    for (const YamlNode& item : node.items) out.push_back(NodeJson(item));
    return out;
  }
  if (node.IsNull()) return nullptr;
  if (node.quoted) return boost::json::string(node.scalar);
  if (node.scalar == "true" || node.scalar == "True") return true;
  if (node.scalar == "false" || node.scalar == "False") return false;
  std::int64_t number = 0;
  const char* last = node.scalar.data() + node.scalar.size();
  const auto [end, error] = std::from_chars(node.scalar.data(), last, number);
  if (error == std::errc() && end == last && !node.scalar.empty()) return number;
  return boost::json::string(node.scalar);
}

std::optional<int> NodeNumber(const YamlNode& node) {
  int value = 0;
  const char* last = node.scalar.data() + node.scalar.size();
  const auto [end, error] = std::from_chars(node.scalar.data(), last, value);
  if (!node.IsScalar() || error != std::errc() || end != last) return std::nullopt;
  return value;
}

Result<std::string> ResourceName(const Resource& resource, const TemplateInput& input,
                                 Intrinsics& intrinsics) {
  const bool layer = resource.type.ends_with("LayerVersion");
  const char* property = layer ? "LayerName" : "FunctionName";
  if (const YamlNode* given = resource.properties.Find(property)) {
    TRY(YamlNode name, intrinsics.Resolve(*given));
    if (name.IsScalar()) return name.scalar;
  }
  return input.prefix_names ? input.stack_name + "-" + resource.id : resource.id;
}

std::string DummyRole(const TemplateInput& input) {
  return "arn:aws:iam::" + input.account_id + ":role/samovar";
}

}  // namespace samovar
