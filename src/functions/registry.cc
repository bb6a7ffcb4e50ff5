// The registry's way in: loading, the table of operations, and how names are found.

#include "functions/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/log.h"
#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {

namespace json = boost::json;

LambdaRegistry::LambdaRegistry(RegistryOptions options, KvStore& kv, PackageStore& packages,
                               BlockingPool& pool, Executor loop, const Clock& clock)
    : options_(std::move(options)),
      kv_(kv),
      packages_(packages),
      pool_(pool),
      loop_(std::move(loop)),
      clock_(clock),
      generator_(std::random_device()()),
      alive_(std::make_shared<LambdaRegistry*>(this)) {}

LambdaRegistry::~LambdaRegistry() {
  if (collect_timer_) collect_timer_->cancel();
}

Result<void> LambdaRegistry::Load() {
  std::map<std::string, FunctionRecord, std::less<>> loaded;
  Result<void> read;
  TRY(kv_.Scan("functions/function/", [&](std::string_view, std::string_view document) {
    auto function = ReadFunction(document);
    if (!function) {
      read = std::unexpected(std::move(function).error());
      return false;
    }
    auto name = function->name;
    loaded.emplace(std::move(name), std::move(*function));
    return true;
  }));
  TRY(read);
  constexpr std::string_view kVersions = "functions/version/";
  TRY(kv_.Scan(kVersions, [&](std::string_view key, std::string_view document) {
    key.remove_prefix(kVersions.size());
    auto version = ReadVersion(document);
    if (!version) {
      read = std::unexpected(std::move(version).error());
      return false;
    }
    const auto owner = loaded.find(key.substr(0, key.find('/')));
    if (owner == loaded.end()) return true;
    const auto number = std::stoull(std::string(key.substr(key.find('/') + 1)));
    owner->second.versions[number] = std::make_shared<VersionRecord>(std::move(*version));
    return true;
  }));
  TRY(read);
  constexpr std::string_view kSigning = "functions/code-signing/";
  TRY(kv_.Scan(kSigning, [&](std::string_view, std::string_view document) {
    boost::system::error_code failed;
    auto config = json::parse(json::string_view(document.data(), document.size()), failed);
    if (failed || !config.is_object()) {
      read = Fail(Code::kInternal, "read a code signing configuration: not a document of ours");
      return false;
    }
    config.as_object().erase("format");
    code_signing_[std::string(TextOf(config.as_object(), "CodeSigningConfigArn"))] =
        config.as_object();
    return true;
  }));
  TRY(read);
  TRY(kv_.Scan("functions/layer/", [&](std::string_view, std::string_view document) {
    auto layer = ReadLayer(document);
    if (!layer) {
      read = std::unexpected(std::move(layer).error());
      return false;
    }
    auto name = layer->name;
    layers_[name] = std::make_shared<const LayerRecord>(std::move(*layer));
    return true;
  }));
  TRY(read);
  for (auto& [name, function] : loaded) {
    TRY(LoadRunnable(function));
    Publish(nullptr, std::make_shared<const FunctionRecord>(std::move(function)));
    StartActivation(name);
  }
  ScheduleCollect(std::chrono::seconds(0));
  return {};
}

const std::unordered_map<std::string_view, LambdaRegistry::Operation>&
LambdaRegistry::Operations() {
#define SAMOVAR_OPERATION(name) {#name, &LambdaRegistry::name}
  static const std::unordered_map<std::string_view, Operation> kTable = {
      SAMOVAR_OPERATION(CreateFunction),
      SAMOVAR_OPERATION(GetFunction),
      SAMOVAR_OPERATION(GetFunctionConfiguration),
      SAMOVAR_OPERATION(ListFunctions),
      SAMOVAR_OPERATION(DeleteFunction),
      SAMOVAR_OPERATION(UpdateFunctionCode),
      SAMOVAR_OPERATION(UpdateFunctionConfiguration),
      SAMOVAR_OPERATION(PublishVersion),
      SAMOVAR_OPERATION(ListVersionsByFunction),
      SAMOVAR_OPERATION(CreateAlias),
      SAMOVAR_OPERATION(GetAlias),
      SAMOVAR_OPERATION(UpdateAlias),
      SAMOVAR_OPERATION(DeleteAlias),
      SAMOVAR_OPERATION(ListAliases),
      SAMOVAR_OPERATION(AddPermission),
      SAMOVAR_OPERATION(RemovePermission),
      SAMOVAR_OPERATION(GetPolicy),
      SAMOVAR_OPERATION(TagResource),
      SAMOVAR_OPERATION(UntagResource),
      SAMOVAR_OPERATION(ListTags),
      SAMOVAR_OPERATION(PutFunctionConcurrency),
      SAMOVAR_OPERATION(GetFunctionConcurrency),
      SAMOVAR_OPERATION(DeleteFunctionConcurrency),
      SAMOVAR_OPERATION(GetAccountSettings),
      SAMOVAR_OPERATION(PutProvisionedConcurrencyConfig),
      SAMOVAR_OPERATION(GetProvisionedConcurrencyConfig),
      SAMOVAR_OPERATION(ListProvisionedConcurrencyConfigs),
      SAMOVAR_OPERATION(DeleteProvisionedConcurrencyConfig),
      SAMOVAR_OPERATION(CreateFunctionUrlConfig),
      SAMOVAR_OPERATION(GetFunctionUrlConfig),
      SAMOVAR_OPERATION(UpdateFunctionUrlConfig),
      SAMOVAR_OPERATION(DeleteFunctionUrlConfig),
      SAMOVAR_OPERATION(ListFunctionUrlConfigs),
      SAMOVAR_OPERATION(PutFunctionEventInvokeConfig),
      SAMOVAR_OPERATION(UpdateFunctionEventInvokeConfig),
      SAMOVAR_OPERATION(GetFunctionEventInvokeConfig),
      SAMOVAR_OPERATION(DeleteFunctionEventInvokeConfig),
      SAMOVAR_OPERATION(ListFunctionEventInvokeConfigs),
      SAMOVAR_OPERATION(PublishLayerVersion),
      SAMOVAR_OPERATION(GetLayerVersion),
      SAMOVAR_OPERATION(GetLayerVersionByArn),
      SAMOVAR_OPERATION(ListLayers),
      SAMOVAR_OPERATION(ListLayerVersions),
      SAMOVAR_OPERATION(DeleteLayerVersion),
      SAMOVAR_OPERATION(AddLayerVersionPermission),
      SAMOVAR_OPERATION(RemoveLayerVersionPermission),
      SAMOVAR_OPERATION(GetLayerVersionPolicy),
      SAMOVAR_OPERATION(GetRuntimeManagementConfig),
      SAMOVAR_OPERATION(PutRuntimeManagementConfig),
      SAMOVAR_OPERATION(GetFunctionRecursionConfig),
      SAMOVAR_OPERATION(PutFunctionRecursionConfig),
      SAMOVAR_OPERATION(CreateCodeSigningConfig),
      SAMOVAR_OPERATION(GetCodeSigningConfig),
      SAMOVAR_OPERATION(UpdateCodeSigningConfig),
      SAMOVAR_OPERATION(DeleteCodeSigningConfig),
      SAMOVAR_OPERATION(ListCodeSigningConfigs),
      SAMOVAR_OPERATION(PutFunctionCodeSigningConfig),
      SAMOVAR_OPERATION(GetFunctionCodeSigningConfig),
      SAMOVAR_OPERATION(DeleteFunctionCodeSigningConfig),
      SAMOVAR_OPERATION(ListFunctionsByCodeSigningConfig),
  };
#undef SAMOVAR_OPERATION
  return kTable;
}

Task<Result<json::object>> LambdaRegistry::Execute(std::string operation, json::object input) {
  const auto found = Operations().find(operation);
  if (found == Operations().end()) {
    co_return Unsupported(fmt::format("{} is not supported by this server yet.", operation));
  }
  std::string staged(TextOf(input, "StagedPath"));
  for (const auto* part : {"Code", "Content"}) {
    if (const auto* code = ObjectOf(input, part); code && staged.empty()) {
      staged = TextOf(*code, "StagedPath");
    }
  }
  auto answer = co_await (this->*found->second)(std::move(input));
  if (!staged.empty() && !answer) {
    // Import moves the file; where the operation was refused before, it is still there.
    auto& packages = packages_;
    co_await RunBlocking(pool_, [&packages, staged] {
      packages.Discard(staged);
      return true;
    });
  }
  co_return answer;
}

Result<LambdaRegistry::Target> LambdaRegistry::ParseTarget(std::string_view name,
                                                           std::string_view qualifier) const {
  const auto ref = ParseFunctionRef(name);
  if (!ref) {
    return Validation(fmt::format(
        "Value '{}' at 'functionName' failed to satisfy constraint: Member must satisfy regular "
        "expression pattern: "
        "(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{{2}}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{{1}}"
        ":)?(\\d{{12}}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|"
        "[a-zA-Z0-9-_]+))?",
        name));
  }
  if (!ref->region.empty() && ref->region != options_.region) {
    return NotFound(fmt::format("Functions from '{}' are not reachable in this region ('{}')",
                                ref->region, options_.region));
  }
  if (!ref->qualifier.empty() && !qualifier.empty() && ref->qualifier != qualifier) {
    return InvalidParameter(
        "The derived qualifier from the function name does not match the specified qualifier.");
  }
  return Target{std::string(ref->name),
                std::string(qualifier.empty() ? ref->qualifier : qualifier)};
}

Result<LambdaRegistry::Target> LambdaRegistry::TargetOf(const json::object& input) const {
  return ParseTarget(TextOf(input, "FunctionName"), TextOf(input, "Qualifier"));
}

FunctionPtr LambdaRegistry::Find(std::string_view name) const {
  const auto found = functions_.find(name);
  return found == functions_.end() ? nullptr : found->second;
}

Error LambdaRegistry::MissingFunction(std::string_view name, std::string_view qualifier) const {
  return Error{Code::kNotFound, "Function not found: " + FunctionArn(options_, name, qualifier),
               "ResourceNotFoundException"};
}

Result<LambdaRegistry::Found> LambdaRegistry::FindVersion(const Target& target) const {
  const auto function = Find(target.name);
  if (!function) return std::unexpected(MissingFunction(target.name, target.qualifier));
  if (target.qualifier.empty() || target.qualifier == "$LATEST") {
    return Found{function, function->latest};
  }
  auto number = target.qualifier;
  if (const auto alias = function->aliases.find(number); alias != function->aliases.end()) {
    number = alias->second.version;
  }
  if (number == "$LATEST") return Found{function, function->latest};
  if (IsVersionNumber(number)) {
    const auto version = function->versions.find(std::stoull(number));
    if (version != function->versions.end()) return Found{function, version->second};
  }
  return std::unexpected(MissingFunction(target.name, target.qualifier));
}

Result<json::object> LambdaRegistry::Describe(const FunctionRecord& function,
                                              const VersionRecord& version,
                                              std::string_view qualifier) const {
  return DescribeVersion(options_, function, version, qualifier);
}

std::string LambdaRegistry::Now() const { return LambdaTimestamp(clock_.Wall()); }

void LambdaRegistry::OnRetired(std::function<void(const std::string&)> callback) {
  on_retired_.push_back(std::move(callback));
}

std::vector<std::string> LambdaRegistry::Warnings(const std::string& name,
                                                  const std::string& qualifier) const {
  const auto found = FindVersion({name, qualifier});
  return found ? found->version->warnings : std::vector<std::string>();
}

std::string LambdaRegistry::CodeDir(const std::string& name, const std::string& qualifier) const {
  const auto found = FindVersion({name, qualifier});
  return found && found->version->runnable ? found->version->runnable->code_dir : "";
}

std::vector<std::string> LambdaRegistry::Names() const { return {names_.begin(), names_.end()}; }

Result<std::unique_ptr<Registry>> OpenRegistry(RegistryOptions options, KvStore& kv,
                                               PackageStore& packages, BlockingPool& pool,
                                               Executor loop, const Clock& clock) {
  auto registry = std::make_unique<LambdaRegistry>(std::move(options), kv, packages, pool,
                                                   std::move(loop), clock);
  TRY(registry->Load());
  return registry;
}

}  // namespace samovar
