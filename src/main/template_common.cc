// What AWS::Serverless::Function and AWS::Lambda::Function have in common.
#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "main/template_parts.h"

namespace samovar {

namespace {

Result<void> PutText(Properties& properties, std::string_view name, boost::json::object& out) {
  TRY(std::string text, properties.Text(name));
  if (!text.empty()) out[name] = text;
  return {};
}

Result<void> PutNumber(Properties& properties, std::string_view name, boost::json::object& out) {
  TRY(std::optional<int> number, properties.Number(name));
  if (number) out[name] = *number;
  return {};
}

Result<void> PutTexts(Properties& properties, std::string_view name, boost::json::object& out) {
  TRY(std::vector<std::string> texts, properties.Texts(name));
  if (!texts.empty()) out[name] = boost::json::array(texts.begin(), texts.end());
  return {};
}

Result<void> PutMap(Properties& properties, std::string_view name, boost::json::object& out) {
  const YamlNode* node = properties.Take(name);
  if (node == nullptr) return {};
  if (!node->IsMap()) return properties.At(node->line, name, "expected a map");
  out[name] = NodeJson(*node);
  return {};
}

Result<void> PutEnvironment(Properties& properties, boost::json::object& out) {
  const YamlNode* node = properties.Take("Environment");
  if (node == nullptr) return {};
  const YamlNode* variables = node->Find("Variables");
  if (variables == nullptr || variables->IsNull()) return {};
  if (!variables->IsMap()) {
    return properties.At(variables->line, "Environment.Variables", "expected a map");
  }
  boost::json::object texts;
  for (const YamlField& field : variables->fields) {
    if (!field.value.IsScalar() && !field.value.IsNull()) {
      return properties.At(field.value.line, "Environment.Variables." + field.name,
                           "expected a text");
    }
    texts[field.name] = field.value.scalar;
  }
  out["Environment"] = boost::json::object{{"Variables", std::move(texts)}};
  return {};
}

Result<void> PutEphemeralStorage(Properties& properties, boost::json::object& out) {
  const YamlNode* node = properties.Take("EphemeralStorage");
  if (node == nullptr) return {};
  const YamlNode* size = node->Find("Size");
  const std::optional<int> megabytes = size == nullptr ? std::nullopt : NodeNumber(*size);
  if (!megabytes) {
    return properties.At(node->line, "EphemeralStorage.Size", "expected a number of MB");
  }
  out["EphemeralStorage"] = boost::json::object{{"Size", *megabytes}};
  return {};
}

// Texts also where the template has plain numbers.
Result<boost::json::array> TextArray(const Properties& properties, const YamlNode& list,
                                     const std::string& name) {
  if (!list.IsList()) return properties.At(list.line, name, "expected a list");
  boost::json::array texts;
  for (const YamlNode& item : list.items) {
    if (!item.IsScalar()) return properties.At(item.line, name, "expected a list of texts");
    texts.emplace_back(item.scalar);
  }
  return texts;
}

Result<void> PutImageConfig(Properties& properties, boost::json::object& out) {
  const YamlNode* node = properties.Take("ImageConfig");
  if (node == nullptr) return {};
  boost::json::object config;
  for (const YamlField& field : node->fields) {
    const std::string name = "ImageConfig." + field.name;
    if (field.name == "EntryPoint" || field.name == "Command") {
      TRY(config[field.name], TextArray(properties, field.value, name));
    } else if (field.name == "WorkingDirectory" && field.value.IsScalar()) {
      config[field.name] = field.value.scalar;
    } else {
      return properties.At(field.value.line, name,
                           "expected EntryPoint, Command or WorkingDirectory, a text");
    }
  }
  out["ImageConfig"] = std::move(config);
  return {};
}

}  // namespace

Result<void> ReadCommonConfiguration(Properties& properties, FunctionPlan& function) {
  boost::json::object& out = function.configuration;
  for (const std::string_view name : {"Runtime", "Handler", "Description"}) {
    TRY(PutText(properties, name, out));
  }
  for (const std::string_view name : {"MemorySize", "Timeout"}) {
    TRY(PutNumber(properties, name, out));
  }
  for (const std::string_view name : {"Architectures", "Layers"}) {
    TRY(PutTexts(properties, name, out));
  }
  for (const std::string_view name : {"SnapStart", "LoggingConfig"}) {
    TRY(PutMap(properties, name, out));
  }
  TRY(PutEnvironment(properties, out));
  TRY(PutEphemeralStorage(properties, out));
  TRY(function.tags, properties.TextMap("Tags"));
  if (function.code.kind == CodeSource::Kind::kImage) {
    TRY(PutImageConfig(properties, out));
    // Globals may have what an image's function must not.
    for (const char* name : {"Runtime", "Handler", "Layers"}) out.erase(name);
  }
  properties.Ignore({"Role", "FunctionName", "PackageType", "RolePath", "AssumeRolePolicyDocument",
                     "PermissionsBoundary"});
  return {};
}

}  // namespace samovar
