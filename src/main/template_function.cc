// AWS::Serverless::Function.
#include <fmt/format.h>

#include "main/template_parts.h"

namespace samovar {

namespace {

Result<void> ReadCode(Properties& properties, FunctionPlan& function) {
  if (const YamlNode* inline_code = properties.Take("InlineCode")) {
    if (!inline_code->IsScalar()) {
      return properties.At(inline_code->line, "InlineCode", "expected a text");
    }
    function.code.kind = CodeSource::Kind::kInline;
    function.code.inline_text = inline_code->scalar;
    properties.Ignore({"CodeUri"});
    return {};
  }
  const YamlNode* uri = properties.Take("CodeUri");
  function.code.path = ".";
  if (uri == nullptr) return {};
  const bool remote = uri->IsMap() || uri->scalar.starts_with("s3://");
  const YamlNode* bucket = uri->Find("Bucket");
  const YamlNode* key = uri->Find("Key");
  if (remote && bucket != nullptr && key != nullptr && bucket->scalar == "samovar-uploads") {
    function.code = {.kind = CodeSource::Kind::kUploaded,
                     .path = {},
                     .inline_text = {},
                     .bucket = bucket->scalar,
                     .key = key->scalar,
                     .build_method = {}};
    return {};
  }
  if (remote || !uri->IsScalar()) {
    return properties.At(uri->line, "CodeUri",
                         "expected a path; code in S3 is not reached from here");
  }
  function.code.path = uri->scalar;
  return {};
}

Result<void> ReadImage(Properties& properties, FunctionPlan& function) {
  function.code.kind = CodeSource::Kind::kImage;
  TRY(function.code.path, properties.Text("ImageUri"));
  if (function.code.path.empty()) {
    return properties.At(properties.Line(), "ImageUri",
                         "expected the name of an image that the server has; samovar image import "
                         "and pull bring one");
  }
  properties.Ignore({"CodeUri", "InlineCode"});  // Globals may have them
  return {};
}

// SAM lets everyone call a URL without authentication; the policy says so on the alias it is on.
void AllowEveryone(FunctionPlan& function) {
  function.permissions.push_back({.statement_id = function.logical_id + "UrlPublicPermissions",
                                  .action = "lambda:InvokeFunctionUrl",
                                  .principal = "*",
                                  .url_auth_type = "NONE",
                                  .source_arn = {},
                                  .qualifier = function.url->qualifier});
}

Result<void> ReadUrl(Properties& properties, FunctionPlan& function) {
  const YamlNode* node = properties.Take("FunctionUrlConfig");
  if (node == nullptr) return {};
  UrlPlan url;
  const YamlNode* auth = node->Find("AuthType");
  if (auth == nullptr || (auth->scalar != "NONE" && auth->scalar != "AWS_IAM")) {
    return properties.At(node->line, "FunctionUrlConfig.AuthType", "expected NONE or AWS_IAM");
  }
  url.auth_type = auth->scalar;
  if (const YamlNode* mode = node->Find("InvokeMode")) url.invoke_mode = mode->scalar;
  if (url.invoke_mode != "BUFFERED" && url.invoke_mode != "RESPONSE_STREAM") {
    return properties.At(node->line, "FunctionUrlConfig.InvokeMode",
                         "expected BUFFERED or RESPONSE_STREAM");
  }
  if (const YamlNode* cors = node->Find("Cors"); cors != nullptr && cors->IsMap()) {
    url.cors = NodeJson(*cors).as_object();
  }
  if (!function.aliases.empty()) url.qualifier = function.aliases.front().name;
  function.url = std::move(url);
  if (function.url->auth_type == "NONE") AllowEveryone(function);
  return {};
}

Result<void> ReadDestination(Properties& properties, Intrinsics& intrinsics, const YamlNode& config,
                             std::string_view side, boost::json::object& out) {
  const YamlNode* node = config.Find(side);
  if (node == nullptr || node->IsNull()) return {};
  const YamlNode* destination = node->Find("Destination");
  const YamlNode* type = node->Find("Type");
  const std::string path = fmt::format("EventInvokeConfig.DestinationConfig.{}", side);
  if (destination == nullptr || !destination->IsScalar()) {
    return properties.At(node->line, path, "expected Destination, the ARN of a function");
  }
  if (type != nullptr && type->scalar != "Lambda") {
    intrinsics.Warn(node->line, fmt::format("{}: destinations of type {} are not served yet; left "
                                            "out",
                                            path, type->scalar));
    return {};
  }
  out[side] = boost::json::object{{"Destination", destination->scalar}};
  return {};
}

Result<void> ReadEventInvoke(Properties& properties, Intrinsics& intrinsics,
                             FunctionPlan& function) {
  const YamlNode* node = properties.Take("EventInvokeConfig");
  if (node == nullptr) return {};
  if (!node->IsMap()) return properties.At(node->line, "EventInvokeConfig", "expected a map");
  boost::json::object config;
  for (const std::string_view name : {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"}) {
    const YamlNode* number = node->Find(name);
    if (number == nullptr) continue;
    const std::optional<int> value = NodeNumber(*number);
    if (!value) {
      return properties.At(number->line, fmt::format("EventInvokeConfig.{}", name),
                           "expected a whole number");
    }
    config[name] = *value;
  }
  if (const YamlNode* destinations = node->Find("DestinationConfig")) {
    boost::json::object both;
    TRY(ReadDestination(properties, intrinsics, *destinations, "OnSuccess", both));
    TRY(ReadDestination(properties, intrinsics, *destinations, "OnFailure", both));
    if (!both.empty()) config["DestinationConfig"] = std::move(both);
  }
  function.event_invoke = std::move(config);
  return {};
}

void WarnOfEvents(Properties& properties, Intrinsics& intrinsics, const Resource& resource) {
  const YamlNode* events = properties.Take("Events");
  if (events == nullptr) return;
  for (const YamlField& event : events->fields) {
    const YamlNode* type = event.value.Find("Type");
    const std::string kind = type == nullptr ? "?" : type->scalar;
    const bool http = kind == "Api" || kind == "HttpApi";
    intrinsics.Warn(
        event.value.line,
        fmt::format("{}.Events.{}: events of type {} are not served yet{}", resource.id, event.name,
                    kind, http ? "; FunctionUrlConfig gives the function an HTTP address" : ""));
  }
}

void LeaveTheRest(Properties& properties) {
  properties.Leave("Policies", "ignored: functions need no IAM policy here");
  properties.Leave("DeploymentPreference",
                   "gradual deployment is not served yet; the alias moves at once");
  properties.Leave("VpcConfig",
                   "ignored: there is no VPC; the tag samovar:network = egress opens "
                   "the network");
  properties.Leave("FileSystemConfigs", "file systems are not served yet");
  properties.Ignore({"AutoPublishAliasAllProperties", "AutoPublishCodeSha256", "KmsKeyArn"});
  properties.WarnOfRest();
}

Result<void> ReadProvisioned(Properties& properties, FunctionPlan& function) {
  const YamlNode* node = properties.Take("ProvisionedConcurrencyConfig");
  if (node == nullptr) return {};
  const YamlNode* count = node->Find("ProvisionedConcurrentExecutions");
  const std::optional<int> instances = count == nullptr ? std::nullopt : NodeNumber(*count);
  if (!instances || *instances < 1) {
    return properties.At(node->line, "ProvisionedConcurrencyConfig.ProvisionedConcurrentExecutions",
                         "expected a whole number from 1");
  }
  if (function.aliases.empty()) {
    return properties.At(node->line, "ProvisionedConcurrencyConfig",
                         "it needs AutoPublishAlias, the alias whose version is kept ready");
  }
  function.aliases.front().provisioned = *instances;
  return {};
}

Result<void> ReadSamOnly(Properties& properties, Intrinsics& intrinsics, FunctionPlan& function) {
  TRY(std::string alias, properties.Text("AutoPublishAlias"));
  if (!alias.empty()) {
    function.publish = true;
    function.aliases.push_back({.name = alias, .description = {}});
  }
  TRY(ReadProvisioned(properties, function));
  TRY(function.version_description, properties.Text("VersionDescription"));
  TRY(function.reserved_concurrency, properties.Number("ReservedConcurrentExecutions"));
  TRY(std::string tracing, properties.Text("Tracing"));
  if (tracing == "Active" || tracing == "PassThrough") {
    function.configuration["TracingConfig"] = boost::json::object{{"Mode", tracing}};
  }
  if (const YamlNode* queue = properties.Take("DeadLetterQueue")) {
    const YamlNode* target = queue->Find("TargetArn");
    if (target == nullptr || !target->IsScalar()) {
      return properties.At(queue->line, "DeadLetterQueue.TargetArn", "expected an ARN");
    }
    function.configuration["DeadLetterConfig"] = boost::json::object{{"TargetArn", target->scalar}};
  }
  TRY(ReadUrl(properties, function));
  return ReadEventInvoke(properties, intrinsics, function);
}

}  // namespace

Result<void> AddServerlessFunction(const Resource& resource, PartContext context) {
  TRY(YamlNode resolved, context.intrinsics.Resolve(resource.properties));
  Properties properties(resource, resolved, context.intrinsics);
  TRY(std::string package, properties.Text("PackageType", "Zip"));
  if (package != "Zip" && package != "Image") {
    return properties.At(resource.line, "PackageType", "expected Zip or Image");
  }
  const bool image = package == "Image";
  FunctionPlan function;
  function.logical_id = resource.id;
  function.line = resource.line;
  TRY(function.name, ResourceName(resource, context.input, context.intrinsics));
  function.configuration["Role"] = DummyRole(context.input);
  TRY(image ? ReadImage(properties, function) : ReadCode(properties, function));
  if (!image) function.code.build_method = resource.build_method;
  TRY(ReadCommonConfiguration(properties, function));
  TRY(ReadSamOnly(properties, context.intrinsics, function));
  WarnOfEvents(properties, context.intrinsics, resource);
  LeaveTheRest(properties);
  context.plan.functions.push_back(std::move(function));
  return {};
}

}  // namespace samovar
