// Provisioned concurrency: instances of a version that are ready before anyone calls.
#include "functions/provisioned.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kPage = 50;

bool HasTarget(const FunctionRecord& function, const std::string& qualifier) {
  return function.aliases.contains(qualifier) ||
         (IsVersionNumber(qualifier) && function.versions.contains(std::stoull(qualifier)));
}

std::unexpected<Error> Unpublished() {
  return InvalidParameter(
      "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
}

// Of Get and Delete.
Result<void> CheckQualifier(std::string_view qualifier) {
  if (!qualifier.empty() && qualifier != "$LATEST") return {};
  return InvalidParameter(
      "The function resource provided must be an alias or a published version.");
}

std::unexpected<Error> NoConfig() {
  return Fail(Code::kNotFound, "No Provisioned Concurrency Config found for this function",
              "ProvisionedConcurrencyConfigNotFoundException");
}

// "2019-11-21T19:32:12+0000": of LambdaTimestamp's, whole seconds.
std::string WholeSeconds(std::string timestamp) {
  const auto point = timestamp.find('.');
  const auto zone = timestamp.find('+', point);
  if (point != timestamp.npos && zone != timestamp.npos) timestamp.erase(point, zone - point);
  return timestamp;
}

}  // namespace

Error LambdaRegistry::NoProvisionedTarget(const Target& target) const {
  if (IsVersionNumber(target.qualifier)) return MissingFunction(target.name, target.qualifier);
  return NotFound("Cannot find alias arn: " + FunctionArn(options_, target.name, target.qualifier))
      .error();
}

// How the configuration of `qualifier` spreads over versions: an alias between two by its weight.
std::vector<LambdaRegistry::VersionShare> LambdaRegistry::SharesOf(const FunctionRecord& function,
                                                                   const std::string& qualifier) {
  const auto config = function.provisioned.find(qualifier);
  const int requested = config == function.provisioned.end() ? 0 : config->second.requested;
  const auto version = [&](const std::string& number) -> VersionRecordPtr {
    if (!IsVersionNumber(number)) return function.latest;
    const auto found = function.versions.find(std::stoull(number));
    return found == function.versions.end() ? nullptr : found->second;
  };
  const auto alias = function.aliases.find(qualifier);
  if (alias == function.aliases.end()) return {{version(qualifier), requested}};
  const auto& [main, description, revision, second, weight] = alias->second;
  if (second.empty()) return {{version(main), requested}};
  const int share = static_cast<int>(std::lround(requested * weight));
  return {{version(main), requested - share}, {version(second), share}};
}

// Whether the versions that `qualifier` stands for can be provisioned by it.
Result<void> LambdaRegistry::CheckProvisionedVersions(const FunctionRecord& function,
                                                      const std::string& qualifier) {
  for (const auto& share : SharesOf(function, qualifier)) {
    if (share.version->number == "$LATEST") return Unpublished();
    if (HasSnapStart(*share.version)) {
      return InvalidParameter(
          "Provisioned Concurrency is not supported for SnapStart enabled functions.");
    }
    for (const auto& [other, config] : function.provisioned) {
      if (other == qualifier) continue;
      for (const auto& taken : SharesOf(function, other)) {
        if (taken.version != share.version) continue;
        return Conflict(function.aliases.contains(qualifier)
                            ? "Alias can't be used for Provisioned Concurrency configuration on an "
                              "already Provisioned version"
                            : "Version is pointed by a Provisioned Concurrency alias");
      }
    }
  }
  return {};
}

Result<void> LambdaRegistry::CheckProvisionedLimits(const FunctionRecord& function,
                                                    const std::string& qualifier,
                                                    int wanted) const {
  int others = function.ProvisionedTotal();
  if (const auto own = function.provisioned.find(qualifier); own != function.provisioned.end()) {
    others -= own->second.requested;
  }
  if (function.reserved_concurrency) {
    if (wanted <= *function.reserved_concurrency - others) return {};
    return InvalidParameter(
        "Requested Provisioned Concurrency should not be greater than the "
        "reservedConcurrentExecution for function");
  }
  const int unreserved = options_.account_concurrency - ReservedByOthers(function.name) - others;
  if (wanted > unreserved) {
    return InvalidParameter(
        fmt::format("Specified ConcurrentExecutions for function is greater than account's "
                    "unreserved concurrency [{}].",
                    unreserved));
  }
  if (unreserved - wanted < MinimumUnreserved()) {
    return InvalidParameter(
        fmt::format("Specified ConcurrentExecutions for function decreases account's "
                    "UnreservedConcurrentExecution below its minimum value of [{}].",
                    MinimumUnreserved()));
  }
  return {};
}

json::object LambdaRegistry::DescribeProvisioned(const FunctionRecord& function,
                                                 const std::string& qualifier) const {
  const auto& config = function.provisioned.at(qualifier);
  int available = 0, allocated = 0;
  std::string failure;
  for (const auto& [version, count] : SharesOf(function, qualifier)) {
    if (count == 0) continue;
    if (version->state == "Failed") failure = version->state_reason;
    if (!version->runnable || !options_.provisioned_status) continue;
    const auto status = options_.provisioned_status(version->runnable->Key());
    available += std::min(status.available, count);
    allocated += std::min(status.allocated, count);
    if (!status.failure.empty() && status.available < count) failure = status.failure;
  }
  const bool ready = available >= config.requested;
  json::object answer{{"RequestedProvisionedConcurrentExecutions", config.requested},
                      {"AvailableProvisionedConcurrentExecutions", available},
                      {"AllocatedProvisionedConcurrentExecutions", allocated},
                      {"Status", ready ? "READY" : (failure.empty() ? "IN_PROGRESS" : "FAILED")},
                      {"LastModified", config.last_modified}};
  if (!ready && !failure.empty()) answer["StatusReason"] = failure;
  return answer;
}

LambdaRegistry::Answer LambdaRegistry::PutProvisionedConcurrencyConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  if (target.qualifier.empty() || target.qualifier == "$LATEST") co_return Unpublished();
  // The sum over all functions is at stake: two such changes must not cross.
  const auto account = co_await changing_.Lock("account");
  const auto wanted = static_cast<int>(
      std::min<std::int64_t>(IntOf(input, "ProvisionedConcurrentExecutions").value_or(0), 1 << 30));
  const auto edit = [this, target, wanted](FunctionRecord& function) -> Result<json::object> {
    const auto& qualifier = target.qualifier;
    if (!HasTarget(function, qualifier)) return std::unexpected(NoProvisionedTarget(target));
    const auto alias = function.aliases.find(qualifier);
    if (alias != function.aliases.end() && !alias->second.second_version.empty()) {
      return InvalidParameter("Alias with weights can not be used with Provisioned Concurrency");
    }
    TRY(CheckProvisionedLimits(function, qualifier, wanted));
    TRY(CheckProvisionedVersions(function, qualifier));
    function.provisioned[qualifier] = {wanted, WholeSeconds(Now())};
    auto answer = DescribeProvisioned(function, qualifier);
    answer["Status"] = "IN_PROGRESS";  // the instances hear of it after this
    answer.erase("StatusReason");
    return answer;
  };
  co_return co_await Change(target.name, NoProvisionedTarget(target), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetProvisionedConcurrencyConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  CO_TRY(CheckQualifier(target.qualifier));
  const auto function = Find(target.name);
  if (!function || !HasTarget(*function, target.qualifier)) {
    co_return std::unexpected(NoProvisionedTarget(target));
  }
  if (!function->provisioned.contains(target.qualifier)) co_return NoConfig();
  co_return DescribeProvisioned(*function, target.qualifier);
}

LambdaRegistry::Answer LambdaRegistry::ListProvisionedConcurrencyConfigs(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(MissingFunction(target.name));
  std::vector<std::string> qualifiers;
  for (const auto& [qualifier, config] : function->provisioned) qualifiers.push_back(qualifier);
  const auto page = PageOf(qualifiers, input, kPage, [](const auto& item) { return item; });
  json::array configs;
  for (auto i = page.first; i < page.last; ++i) {
    auto config = DescribeProvisioned(*function, qualifiers[i]);
    config["FunctionArn"] = FunctionArn(options_, function->name, qualifiers[i]);
    configs.push_back(std::move(config));
  }
  json::object answer{{"ProvisionedConcurrencyConfigs", std::move(configs)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::DeleteProvisionedConcurrencyConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  CO_TRY(CheckQualifier(target.qualifier));
  const auto edit = [this, target](FunctionRecord& function) -> Result<json::object> {
    if (!HasTarget(function, target.qualifier)) {
      return std::unexpected(NoProvisionedTarget(target));
    }
    function.provisioned.erase(target.qualifier);
    return json::object();
  };
  co_return co_await Change(target.name, NoProvisionedTarget(target), edit);
}

std::vector<ProvisionedTarget> LambdaRegistry::Provisioned() const {
  std::vector<ProvisionedTarget> targets;
  for (const auto& [name, function] : functions_) {
    for (const auto& [qualifier, config] : function->provisioned) {
      for (const auto& [version, count] : SharesOf(*function, qualifier)) {
        if (count > 0 && version->runnable) targets.push_back({version->runnable, count});
      }
    }
  }
  return targets;
}

void LambdaRegistry::OnProvisionedChanged(std::function<void()> callback) {
  on_provisioned_.push_back(std::move(callback));
}

}  // namespace samovar
