// The plain AWS::Lambda resources: Function, and what is joined to one (Url, Version, Alias,
// Permission, EventInvokeConfig).
#include <fmt/format.h>

#include <charconv>

#include "main/template_parts.h"

namespace samovar {

namespace {

Result<void> ReadLambdaCode(Properties& properties, FunctionPlan& function) {
  const YamlNode* code = properties.Take("Code");
  if (code == nullptr) return properties.At(properties.Line(), "Code", "missing");
  if (code->IsScalar()) {
    function.code.path = code->scalar;
    return {};
  }
  const YamlNode* text = code->Find("ZipFile");
  const YamlNode* bucket = code->Find("S3Bucket");
  const YamlNode* key = code->Find("S3Key");
  if (const YamlNode* image = code->Find("ImageUri"); image != nullptr && image->IsScalar()) {
    function.code.kind = CodeSource::Kind::kImage;
    function.code.path = image->scalar;
    return {};
  }
  if (text != nullptr && text->IsScalar()) {
    function.code.kind = CodeSource::Kind::kInline;
    function.code.inline_text = text->scalar;
    return {};
  }
  if (bucket != nullptr && key != nullptr && bucket->scalar == "samovar-uploads") {
    function.code.kind = CodeSource::Kind::kUploaded;
    function.code.bucket = bucket->scalar;
    function.code.key = key->scalar;
    return {};
  }
  return properties.At(code->line, "Code",
                       "expected a path, ZipFile or ImageUri; code in S3 is not reached from here");
}

// "arn:aws:lambda:R:A:function:NAME[:QUALIFIER]" or "NAME[:QUALIFIER]".
std::pair<std::string, std::string> SplitName(std::string text) {
  const std::size_t mark = text.find(":function:");
  if (mark != std::string::npos) text = text.substr(mark + 10);
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || text.starts_with("{{")) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

FunctionPlan* FindFunction(Plan& plan, const std::string& name) {
  for (FunctionPlan& function : plan.functions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

Result<void> AttachUrl(const Resource& resource, Properties& properties, FunctionPlan& function,
                       const std::string& qualifier) {
  UrlPlan url;
  TRY(url.auth_type, properties.Text("AuthType"));
  if (url.auth_type != "NONE" && url.auth_type != "AWS_IAM") {
    return properties.At(resource.line, "AuthType", "expected NONE or AWS_IAM");
  }
  TRY(url.invoke_mode, properties.Text("InvokeMode", "BUFFERED"));
  TRY(url.qualifier, properties.Text("Qualifier", qualifier));
  const YamlNode* cors = properties.Take("Cors");
  if (cors != nullptr && cors->IsMap()) url.cors = NodeJson(*cors).as_object();
  function.url = std::move(url);
  return {};
}

Result<void> AttachPermission(const Resource& resource, Properties& properties,
                              FunctionPlan& function, const std::string& qualifier) {
  PermissionPlan permission;
  permission.statement_id = resource.id;
  permission.qualifier = qualifier;
  TRY(permission.action, properties.Text("Action"));
  TRY(permission.principal, properties.Text("Principal"));
  TRY(permission.url_auth_type, properties.Text("FunctionUrlAuthType"));
  TRY(permission.source_arn, properties.Text("SourceArn"));
  properties.Ignore({"SourceAccount"});
  function.permissions.push_back(std::move(permission));
  return {};
}

// {"AdditionalVersionWeights": [{"FunctionVersion", "FunctionWeight"}]}; nullopt where it is none.
std::optional<std::map<std::string, double>> WeightsOf(const YamlNode& routing) {
  std::map<std::string, double> weights;
  const YamlNode* list = routing.Find("AdditionalVersionWeights");
  if (list == nullptr || !list->IsList()) return std::nullopt;
  for (const YamlNode& item : list->items) {
    const YamlNode* version = item.Find("FunctionVersion");
    const YamlNode* weight = item.Find("FunctionWeight");
    if (version == nullptr || weight == nullptr || !version->IsScalar()) return std::nullopt;
    double& share = weights[version->scalar];
    const char* last = weight->scalar.data() + weight->scalar.size();
    const auto [end, error] = std::from_chars(weight->scalar.data(), last, share);
    if (error != std::errc() || end != last || !(share >= 0 && share <= 1)) return std::nullopt;
  }
  return weights;
}

Result<void> AttachAlias(const Resource& resource, Properties& properties, FunctionPlan& function) {
  AliasPlan alias;
  TRY(alias.name, properties.Text("Name"));
  TRY(alias.description, properties.Text("Description"));
  TRY(alias.version, properties.Text("FunctionVersion"));
  if (const YamlNode* routing = properties.Take("RoutingConfig")) {
    auto weights = WeightsOf(*routing);
    if (!weights) {
      return properties.At(resource.line, "RoutingConfig",
                           "expected AdditionalVersionWeights: a list of FunctionVersion and "
                           "FunctionWeight (0 to 1)");
    }
    alias.weights = std::move(*weights);
  }
  function.publish = true;
  function.aliases.push_back(std::move(alias));
  return {};
}

Result<void> AttachEventInvoke(Properties& properties, FunctionPlan& function) {
  boost::json::object config;
  for (const std::string_view name : {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"}) {
    TRY(std::optional<int> number, properties.Number(name));
    if (number) config[name] = *number;
  }
  if (const YamlNode* destinations = properties.Take("DestinationConfig")) {
    config["DestinationConfig"] = NodeJson(*destinations);
  }
  properties.Ignore({"Qualifier"});
  function.event_invoke = std::move(config);
  return {};
}

}  // namespace

Result<void> AddLambdaFunction(const Resource& resource, PartContext context) {
  TRY(YamlNode resolved, context.intrinsics.Resolve(resource.properties));
  Properties properties(resource, resolved, context.intrinsics);
  TRY(std::string package, properties.Text("PackageType", "Zip"));
  if (package != "Zip" && package != "Image") {
    return properties.At(resource.line, "PackageType", "expected Zip or Image");
  }
  FunctionPlan function;
  function.logical_id = resource.id;
  function.line = resource.line;
  TRY(function.name, ResourceName(resource, context.input, context.intrinsics));
  function.configuration["Role"] = DummyRole(context.input);
  TRY(ReadLambdaCode(properties, function));
  const bool image = function.code.kind == CodeSource::Kind::kImage;
  if (image != (package == "Image")) {
    return properties.At(resource.line, "PackageType",
                         "Image goes with Code.ImageUri, Zip with any other code");
  }
  if (!image) function.code.build_method = resource.build_method;
  TRY(ReadCommonConfiguration(properties, function));
  TRY(function.reserved_concurrency, properties.Number("ReservedConcurrentExecutions"));
  for (const std::string_view name : {"DeadLetterConfig", "TracingConfig"}) {
    const YamlNode* node = properties.Take(name);
    if (node != nullptr && node->IsMap()) function.configuration[name] = NodeJson(*node);
  }
  properties.Leave("VpcConfig",
                   "ignored: there is no VPC; the tag samovar:network = egress opens "
                   "the network");
  properties.Ignore({"KmsKeyArn"});
  properties.WarnOfRest();
  context.plan.functions.push_back(std::move(function));
  return {};
}

Result<void> AttachToFunction(const Resource& resource, PartContext context) {
  TRY(YamlNode resolved, context.intrinsics.Resolve(resource.properties));
  Properties properties(resource, resolved, context.intrinsics);
  const bool url = resource.type == "AWS::Lambda::Url";
  TRY(std::string target, properties.Text(url ? "TargetFunctionArn" : "FunctionName"));
  const auto [name, qualifier] = SplitName(target);
  FunctionPlan* function = FindFunction(context.plan, name);
  if (function == nullptr) {
    context.intrinsics.Warn(
        resource.line,
        fmt::format("{}: \"{}\" is no function of this template; left out", resource.id, target));
    return {};
  }
  if (url) {
    TRY(AttachUrl(resource, properties, *function, qualifier));
  } else if (resource.type == "AWS::Lambda::Permission") {
    TRY(AttachPermission(resource, properties, *function, qualifier));
  } else if (resource.type == "AWS::Lambda::Alias") {
    TRY(AttachAlias(resource, properties, *function));
  } else if (resource.type == "AWS::Lambda::Version") {
    function->publish = true;
    TRY(function->version_description, properties.Text("Description"));
  } else {
    TRY(AttachEventInvoke(properties, *function));
  }
  properties.WarnOfRest();
  return {};
}

}  // namespace samovar
