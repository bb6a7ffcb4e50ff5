#include "main/plan.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_from.hpp>

namespace samovar {

namespace {

constexpr std::string_view kOpen = "{{samovar:";
constexpr std::string_view kClose = "}}";

// Calls `visit` with the text of each placeholder and puts its answer in place.
template <class Visit>
std::string ReplaceEach(const std::string& text, Visit visit) {
  std::string out;
  std::size_t at = 0;
  for (;;) {
    const std::size_t open = text.find(kOpen, at);
    const std::size_t close = open == std::string::npos ? open : text.find(kClose, open);
    if (close == std::string::npos) return out + text.substr(at);
    out += text.substr(at, open - at);
    out += visit(text.substr(open + kOpen.size(), close - open - kOpen.size()));
    at = close + kClose.size();
  }
}

boost::json::object CodeJson(const CodeSource& code) {
  boost::json::object out;
  switch (code.kind) {
    case CodeSource::Kind::kPath:
      out["path"] = code.path;
      break;
    case CodeSource::Kind::kInline:
      out["inline"] = code.inline_text;
      break;
    case CodeSource::Kind::kUploaded:
      out["bucket"] = code.bucket;
      out["key"] = code.key;
      break;
    case CodeSource::Kind::kImage:
      out["image"] = code.path;
      break;
  }
  if (!code.build_method.empty()) out["build_method"] = code.build_method;
  return out;
}

void PutText(boost::json::object& out, std::string_view name, const std::string& text) {
  if (!text.empty()) out[name] = text;
}

boost::json::array TextArray(const std::vector<std::string>& texts) {
  return boost::json::array(texts.begin(), texts.end());
}

// Where the calls of an alias go, as far as not all go to the version that is published.
boost::json::object RoutingJson(const FunctionPlan& function, const AliasPlan& alias) {
  boost::json::object out;
  if (alias.version != Placeholder(function.logical_id, "Version")) {
    PutText(out, "version", alias.version);
  }
  if (!alias.weights.empty()) out["weights"] = boost::json::value_from(alias.weights);
  return out;
}

boost::json::object LayerJson(const LayerPlan& layer) {
  boost::json::object out{{"id", layer.logical_id}, {"name", layer.name}};
  out["content"] = CodeJson(layer.content);
  PutText(out, "description", layer.description);
  PutText(out, "license", layer.license);
  if (!layer.runtimes.empty()) out["runtimes"] = TextArray(layer.runtimes);
  if (!layer.architectures.empty()) out["architectures"] = TextArray(layer.architectures);
  out["keep_old"] = layer.keep_old;
  return out;
}

boost::json::object PermissionJson(const PermissionPlan& permission) {
  boost::json::object out{{"statement_id", permission.statement_id},
                          {"action", permission.action},
                          {"principal", permission.principal}};
  PutText(out, "url_auth_type", permission.url_auth_type);
  PutText(out, "source_arn", permission.source_arn);
  PutText(out, "qualifier", permission.qualifier);
  return out;
}

boost::json::object FunctionJson(const FunctionPlan& function) {
  boost::json::object out{{"id", function.logical_id}, {"name", function.name}};
  out["code"] = CodeJson(function.code);
  out["configuration"] = function.configuration;
  if (!function.tags.empty()) {
    boost::json::object tags;
    for (const auto& [key, value] : function.tags) tags[key] = value;
    out["tags"] = std::move(tags);
  }
  if (function.reserved_concurrency) out["reserved_concurrency"] = *function.reserved_concurrency;
  if (function.publish) out["publish"] = true;
  PutText(out, "version_description", function.version_description);
  if (!function.aliases.empty()) {
    boost::json::array aliases;
    boost::json::object routings;
    for (const AliasPlan& alias : function.aliases) {
      aliases.emplace_back(alias.name);
      boost::json::object routing = RoutingJson(function, alias);
      if (!routing.empty()) routings[alias.name] = std::move(routing);
      if (alias.provisioned > 0) out["provisioned"] = alias.provisioned;
    }
    out["aliases"] = std::move(aliases);
    if (!routings.empty()) out["routing"] = std::move(routings);
  }
  if (function.url) {
    boost::json::object url{{"auth_type", function.url->auth_type},
                            {"invoke_mode", function.url->invoke_mode}};
    if (!function.url->cors.empty()) url["cors"] = function.url->cors;
    PutText(url, "qualifier", function.url->qualifier);
    out["url"] = std::move(url);
  }
  if (function.event_invoke) out["event_invoke"] = *function.event_invoke;
  if (!function.permissions.empty()) {
    boost::json::array permissions;
    for (const auto& permission : function.permissions) {
      permissions.push_back(PermissionJson(permission));
    }
    out["permissions"] = std::move(permissions);
  }
  return out;
}

}  // namespace

boost::json::object PlanJson(const Plan& plan) {
  boost::json::array layers, functions, outputs, warnings;
  for (const LayerPlan& layer : plan.layers) layers.push_back(LayerJson(layer));
  for (const FunctionPlan& function : plan.functions) functions.push_back(FunctionJson(function));
  for (const OutputPlan& output : plan.outputs) {
    boost::json::object one{{"name", output.name}, {"value", output.value}};
    PutText(one, "description", output.description);
    outputs.push_back(std::move(one));
  }
  for (const Warning& warning : plan.warnings) {
    warnings.push_back(boost::json::object{{"line", warning.line}, {"message", warning.message}});
  }
  return {{"layers", std::move(layers)},
          {"functions", std::move(functions)},
          {"outputs", std::move(outputs)},
          {"warnings", std::move(warnings)}};
}

std::string Placeholder(const std::string& logical_id, const std::string& attribute) {
  return std::string(kOpen) + logical_id + "." + attribute + std::string(kClose);
}

std::vector<std::string> PlaceholderIds(const std::string& text) {
  std::vector<std::string> ids;
  ReplaceEach(text, [&](const std::string& inside) {
    ids.push_back(inside.substr(0, inside.find('.')));
    return std::string();
  });
  return ids;
}

std::string FillPlaceholders(const std::string& text,
                             const std::map<std::string, std::string>& known) {
  return ReplaceEach(text, [&](const std::string& inside) {
    const auto found = known.find(inside);
    if (found != known.end()) return found->second;
    return std::string(kOpen) + inside + std::string(kClose);
  });
}

boost::json::value FillPlaceholdersIn(const boost::json::value& value,
                                      const std::map<std::string, std::string>& known) {
  if (value.is_string()) {
    return boost::json::string(FillPlaceholders(std::string(value.as_string()), known));
  }
  if (value.is_array()) {
    boost::json::array out;
    for (const auto& item : value.as_array()) out.push_back(FillPlaceholdersIn(item, known));
    return out;
  }
  if (value.is_object()) {
    boost::json::object out;
    for (const auto& field : value.as_object()) {
      out[field.key()] = FillPlaceholdersIn(field.value(), known);
    }
    return out;
  }
  return value;
}

}  // namespace samovar
