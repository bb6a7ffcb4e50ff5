#include "functions/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>

#include "functions/function_ref.h"
#include "functions/images.h"
#include "functions/input.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxEnvironment = 4096;
constexpr std::int64_t kMaxSnapStartStorage = 512;

constexpr std::string_view kReservedVariables[] = {
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
};

constexpr std::string_view kRuntimes =
    "nodejs20.x, nodejs22.x, nodejs24.x, provided, provided.al2, provided.al2023, python3.9, "
    "python3.10, python3.11, python3.12, python3.13, python3.14, onnx";

// "python3.11" with ("python3.", "") is 11; -1 where the name has another shape.
int NumberBetween(std::string_view name, std::string_view before, std::string_view after) {
  if (!name.starts_with(before) || !name.ends_with(after)) return -1;
  name.remove_prefix(before.size());
  if (name.size() < after.size()) return -1;
  name.remove_suffix(after.size());
  if (name.empty() || name.size() > 2 || name.front() == '0') return -1;
  int number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

bool IsRuntimeName(std::string_view name) {
  return NumberBetween(name, "python3.", "") >= 9 || NumberBetween(name, "nodejs", ".x") >= 20 ||
         name == "provided" || name == "provided.al2" || name == "provided.al2023" ||
         name == kModelRuntime;
}

Result<void> ApplyEnvironment(const json::object& input, json::object& config) {
  const auto* environment = ObjectOf(input, "Environment");
  if (!environment) return {};
  const auto* variables = ObjectOf(*environment, "Variables");
  if (!variables) {
    config.erase("Environment");
    return {};
  }
  TRY(CheckEnvironment(*variables));
  config["Environment"] = json::object{{"Variables", *variables}};
  return {};
}

void ApplyLogging(const json::object& input, std::string_view name, bool create,
                  json::object& config) {
  json::object logging{{"LogFormat", "Text"}, {"LogGroup", fmt::format("/aws/lambda/{}", name)}};
  if (!create) {
    if (const auto* before = ObjectOf(config, "LoggingConfig")) logging = *before;
  }
  if (const auto* wanted = ObjectOf(input, "LoggingConfig")) {
    for (const auto& [key, value] : *wanted) {
      if (!value.is_null()) logging[key] = value;
    }
  }
  if (TextOf(logging, "LogFormat") == "JSON") {
    for (const auto* level : {"ApplicationLogLevel", "SystemLogLevel"}) {
      if (!Has(logging, level)) logging[level] = "INFO";
    }
  } else {
    logging.erase("ApplicationLogLevel");
    logging.erase("SystemLogLevel");
  }
  config["LoggingConfig"] = std::move(logging);
}

Result<void> ApplyDeadLetter(const json::object& input, json::object& config) {
  const auto* wanted = ObjectOf(input, "DeadLetterConfig");
  if (!wanted) return {};
  const auto arn = TextOf(*wanted, "TargetArn");
  if (arn.empty()) {
    config.erase("DeadLetterConfig");
    return {};
  }
  if (!ParseFunctionRef(arn)) {
    return InvalidParameter(fmt::format(
        "DeadLetterConfig.TargetArn {} is not supported here: a dead letter can go to another "
        "function only (the ARN of a Lambda function).",
        arn));
  }
  config["DeadLetterConfig"] = *wanted;
  return {};
}

// Members that would be accepted and then not done.
Result<void> RefuseUnsupported(const json::object& input) {
  for (const auto* key : {"FileSystemConfigs", "CapacityProviderConfig", "DurableConfig",
                          "TenancyConfig", "PublishTo"}) {
    const auto* value = input.if_contains(key);
    if (!value || value->is_null()) continue;
    if (const auto* list = value->if_array(); list && list->empty()) continue;
    if (const auto* object = value->if_object(); object && object->empty()) continue;
    return Unsupported(fmt::format("{} is not supported by this server.", key));
  }
  return {};
}

void ApplyVpc(const json::object& input, json::object& config) {
  const auto* vpc = ObjectOf(input, "VpcConfig");
  if (!vpc) return;
  json::object answer{{"SubnetIds", json::array()}, {"SecurityGroupIds", json::array()}};
  bool any = false;
  for (const auto* key : {"SubnetIds", "SecurityGroupIds"}) {
    if (const auto* ids = ArrayOf(*vpc, key)) {
      answer[key] = *ids;
      any |= !ids->empty();
    }
  }
  answer["VpcId"] = any ? "vpc-00000000" : "";
  answer["Ipv6AllowedForDualStack"] = FlagOf(*vpc, "Ipv6AllowedForDualStack");
  config["VpcConfig"] = std::move(answer);
}

Result<void> CheckRanges(const json::object& input) {
  const auto timeout = IntOf(input, "Timeout");
  if (timeout && (*timeout < 1 || *timeout > 900)) {
    return Validation(
        fmt::format("Value '{}' at 'timeout' failed to satisfy constraint: Member "
                    "must have value less than or equal to 900",
                    *timeout));
  }
  const auto memory = IntOf(input, "MemorySize");
  if (memory && (*memory < 128 || *memory > 10240)) {
    return Validation(fmt::format(
        "Value '{}' at 'memorySize' failed to satisfy constraint: Member must have value {} "
        "than or equal to {}",
        *memory, *memory < 128 ? "greater" : "less", *memory < 128 ? 128 : 10240));
  }
  return {};
}

// AWS refuses Python before 3.12 too; here a clone of it is as good as one of 3.12.
Result<void> CheckSnapStart(const json::object& config) {
  if (!WantsSnapStart(config)) return {};
  const auto runtime = TextOf(config, "Runtime");
  if (!runtime.starts_with("python")) {
    return InvalidParameter(fmt::format("{} is not supported for SnapStart enabled functions.",
                                        IsImage(config) ? "PackageType Image" : runtime));
  }
  const auto* storage = ObjectOf(config, "EphemeralStorage");
  if (storage && IntOf(*storage, "Size").value_or(0) > kMaxSnapStartStorage) {
    return InvalidParameter(fmt::format(
        "EphemeralStorage of more than {} MB is not supported for SnapStart enabled functions.",
        kMaxSnapStartStorage));
  }
  return {};
}

void SetDefaults(std::string_view, json::object& config) {
  config["Description"] = "";
  config["Timeout"] = 3;
  config["MemorySize"] = 128;
  config["PackageType"] = "Zip";
  config["Architectures"] = json::array{"x86_64"};
  config["TracingConfig"] = json::object{{"Mode", "PassThrough"}};
  config["EphemeralStorage"] = json::object{{"Size", 512}};
  config["SnapStart"] = json::object{{"ApplyOn", "None"}};
}

std::int64_t ConfigInt(const json::object& config, std::string_view key, std::int64_t otherwise) {
  return IntOf(config, key).value_or(otherwise);
}

}  // namespace

std::string_view ModelFileOf(const json::object& config) {
  if (TextOf(config, "Runtime") != kModelRuntime) return "";
  const auto handler = TextOf(config, "Handler");
  return handler.ends_with(".onnx") ? handler : kModelFile;
}

Result<void> CheckRuntime(std::string_view runtime, const RegistryOptions& options) {
  if (!IsRuntimeName(runtime)) {
    return InvalidParameter(fmt::format(
        "Value {} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
        "[{}] or be a valid ARN",
        runtime, kRuntimes));
  }
  if (options.missing_runtime) {
    if (const auto reason = options.missing_runtime(runtime)) {
      return InvalidParameter(fmt::format(
          "The runtime parameter of {} cannot be used on this host: {}", runtime, *reason));
    }
  }
  return {};
}

bool WantsSnapStart(const json::object& config) {
  const auto* snap = ObjectOf(config, "SnapStart");
  return snap && TextOf(*snap, "ApplyOn") == "PublishedVersions";
}

bool HasSnapStart(const VersionRecord& version) {
  return version.number != "$LATEST" && WantsSnapStart(version.config);
}

Result<void> CheckEnvironment(const json::object& variables) {
  std::string reserved;
  for (const auto& [key, value] : variables) {
    if (std::ranges::find(kReservedVariables, std::string_view(key)) !=
        std::end(kReservedVariables)) {
      reserved += (reserved.empty() ? "" : ", ") + std::string(key);
    }
  }
  if (!reserved.empty()) {
    return InvalidParameter(
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided contains reserved keys that are currently not supported for "
        "modification. Reserved keys used in this request: " +
        reserved);
  }
  const auto measured = json::serialize(variables);
  if (measured.size() > kMaxEnvironment) {
    return InvalidParameter(
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have provided exceeded the 4KB limit. String measured: " +
        measured);
  }
  return {};
}

Result<void> CheckArchitectures(const json::object& input) {
  const auto* list = ArrayOf(input, "Architectures");
  if (!list) return {};
  for (const auto& item : *list) {
    if (item != "x86_64") {
      return InvalidParameter(
          "Architectures: arm64 is not supported, as this server runs functions on an x86_64 "
          "machine.");
    }
  }
  return {};
}

Result<void> ApplyConfiguration(const json::object& input, std::string_view name, bool create,
                                const RegistryOptions& options, json::object& config) {
  TRY(RefuseUnsupported(input));
  TRY(CheckArchitectures(input));
  TRY(CheckRanges(input));
  if (create) SetDefaults(name, config);
  if (create && IsImage(input)) config["PackageType"] = "Image";
  const bool image = IsImage(config);
  TRY(ApplyImageConfig(input, config));
  // A model's handler is its file, which has a usual name.
  const bool model = TextOf(input, "Runtime") == kModelRuntime;
  if (create && model && !Has(input, "Handler")) config["Handler"] = kModelFile;
  if (create && !image && (!Has(input, "Runtime") || (!Has(input, "Handler") && !model))) {
    return InvalidParameter(
        "Runtime and Handler are mandatory parameters for functions created with deployment "
        "packages.");
  }
  if (Has(input, "Runtime")) TRY(CheckRuntime(TextOf(input, "Runtime"), options));
  for (const auto* key : {"Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize",
                          "TracingConfig", "EphemeralStorage", "SnapStart"}) {
    if (Has(input, key)) config[key] = input.at(key);
  }
  config["SnapStart"].as_object().emplace("ApplyOn", "None");
  if (Has(input, "KMSKeyArn")) {
    if (TextOf(input, "KMSKeyArn").empty()) {
      config.erase("KMSKeyArn");
    } else {
      config["KMSKeyArn"] = input.at("KMSKeyArn");
    }
  }
  TRY(ApplyEnvironment(input, config));
  TRY(ApplyDeadLetter(input, config));
  ApplyLogging(input, name, create, config);
  ApplyVpc(input, config);
  return CheckSnapStart(config);
}

std::string FunctionArn(const RegistryOptions& options, std::string_view name,
                        std::string_view qualifier) {
  std::string arn = "arn:aws:lambda:";  // every call has one made
  arn.reserve(128);
  arn.append(options.region).append(":").append(options.account_id).append(":function:");
  arn.append(name);
  if (!qualifier.empty()) arn.append(":").append(qualifier);
  return arn;
}

std::string LayerArn(const RegistryOptions& options, std::string_view name) {
  return fmt::format("arn:aws:lambda:{}:{}:layer:{}", options.region, options.account_id, name);
}

json::object DescribeVersion(const RegistryOptions& options, const FunctionRecord& function,
                             const VersionRecord& version, std::string_view qualifier, bool brief) {
  auto answer = version.config;
  answer["FunctionName"] = function.name;
  answer["FunctionArn"] = FunctionArn(options, function.name, qualifier);
  answer["Version"] = version.number;
  answer["RevisionId"] = version.revision_id;
  answer["LastModified"] = version.last_modified;
  answer["SnapStart"].as_object()["OptimizationStatus"] = HasSnapStart(version) ? "On" : "Off";
  if (const auto* own = answer.if_contains("ImageConfig")) {
    auto response = json::object{{"ImageConfig", *own}};
    answer.erase("ImageConfig");
    answer["ImageConfigResponse"] = std::move(response);
  }
  if (!version.layers.empty()) {
    json::array layers;
    for (const auto& layer : version.layers) {
      layers.push_back(json::object{{"Arn", layer.arn}, {"CodeSize", layer.size}});
    }
    answer["Layers"] = std::move(layers);
  }
  if (brief) return answer;
  if (version.image.empty()) {
    answer["RuntimeVersionConfig"] = json::object{
        {"RuntimeVersionArn", fmt::format("arn:aws:lambda:{}::runtime:{}", options.region,
                                          TextOf(version.config, "Runtime"))}};
  }
  const std::pair<std::string_view, const std::string&> states[] = {
      {"State", version.state},
      {"StateReason", version.state_reason},
      {"StateReasonCode", version.state_reason_code},
      {"LastUpdateStatus", version.update_status},
      {"LastUpdateStatusReason", version.update_reason},
      {"LastUpdateStatusReasonCode", version.update_reason_code},
  };
  for (const auto& [key, value] : states) {
    if (!value.empty()) answer[key] = value;
  }
  return answer;
}

VersionPtr MakeRunnable(const RegistryOptions& options, const FunctionRecord& function,
                        const VersionRecord& record, std::string code_dir,
                        std::vector<std::string> layer_dirs) {
  auto version = std::make_shared<Version>();
  const auto& config = record.config;
  version->function = function.name;
  version->number = record.number;
  version->function_arn = FunctionArn(options, function.name);
  version->revision = record.instance_revision;
  version->runtime = TextOf(config, "Runtime");
  version->handler = TextOf(config, "Handler");
  version->timeout = std::chrono::seconds(ConfigInt(config, "Timeout", 3));
  version->memory = Bytes::MiB(static_cast<std::uint64_t>(ConfigInt(config, "MemorySize", 128)));
  if (const auto* storage = ObjectOf(config, "EphemeralStorage")) {
    version->tmp_size = Bytes::MiB(static_cast<std::uint64_t>(ConfigInt(*storage, "Size", 512)));
  }
  if (const auto* environment = ObjectOf(config, "Environment")) {
    for (const auto& [key, value] : environment->at("Variables").as_object()) {
      if (value.is_string()) version->environment[key] = std::string(value.get_string());
    }
  }
  version->code_dir = std::move(code_dir);
  version->layer_dirs = std::move(layer_dirs);
  if (!record.image.empty()) {
    version->runtime = kImageRuntime;
    version->image = RunnableImage(record, function.HttpPort(), options);
  }
  if (const auto* logging = ObjectOf(config, "LoggingConfig")) {
    version->log_group = TextOf(*logging, "LogGroup");
    version->log_format = TextOf(*logging, "LogFormat");
  }
  version->snap_start = HasSnapStart(record);
  version->egress = function.Egress();
  version->may_clone = function.MayClone();
  if (const auto tag = function.Collections()) version->collections = WithPins(*tag, record.pins);
  return version;
}

}  // namespace samovar
