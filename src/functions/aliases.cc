// Aliases: names for versions, with weighted routing between two.

#include <fmt/format.h>

#include "base/ids.h"
#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kPage = 10'000;

json::object DescribeAlias(const RegistryOptions& options, const std::string& function,
                           const std::string& name, const AliasRecord& alias) {
  json::object answer{{"AliasArn", FunctionArn(options, function, name)},
                      {"Name", name},
                      {"FunctionVersion", alias.version},
                      {"Description", alias.description},
                      {"RevisionId", alias.revision_id}};
  if (!alias.second_version.empty()) {
    answer["RoutingConfig"] =
        json::object{{"AdditionalVersionWeights", {{alias.second_version, alias.second_weight}}}};
  }
  return answer;
}

bool HasVersion(const FunctionRecord& function, std::string_view version) {
  return version == "$LATEST" || (IsVersionNumber(version) &&
                                  function.versions.contains(std::stoull(std::string(version))));
}

Result<void> ApplyRouting(const json::object& routing, AliasRecord& alias) {
  alias.second_version.clear();
  alias.second_weight = 0;
  const auto* weights = ObjectOf(routing, "AdditionalVersionWeights");
  if (!weights || weights->empty()) return {};
  if (weights->size() > 1) {
    return InvalidParameter("Number of items in AdditionalVersionWeights cannot be greater than 1");
  }
  const auto& [version, weight] = *weights->begin();
  alias.second_version = version;
  alias.second_weight = weight.is_number() ? weight.to_number<double>() : -1;
  if (!IsVersionNumber(alias.second_version) || !(alias.second_weight >= 0) ||
      alias.second_weight > 1) {
    return Validation(fmt::format(
        "Value '{{{}={}}}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
        "constraint: Map value must satisfy constraint: [Member must have value less than or equal "
        "to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]",
        alias.second_version, alias.second_weight));
  }
  return {};
}

// Lays the members of `input` over the alias and checks that it leads to versions that exist.
Result<void> ApplyAlias(const RegistryOptions& options, const FunctionRecord& function,
                        const json::object& input, AliasRecord& alias) {
  if (Has(input, "FunctionVersion")) alias.version = TextOf(input, "FunctionVersion");
  if (Has(input, "Description")) alias.description = TextOf(input, "Description");
  if (const auto* routing = ObjectOf(input, "RoutingConfig")) TRY(ApplyRouting(*routing, alias));
  const auto& second = alias.second_version;
  if (!second.empty()) {
    if (alias.version == "$LATEST") {
      return InvalidParameter(
          "$LATEST is not supported for an alias pointing to more than 1 version");
    }
    if (second == alias.version) {
      return InvalidParameter(fmt::format(
          "Invalid function version {0}. Function version {0} is already included in routing "
          "configuration.",
          second));
    }
  }
  for (const auto& version : {alias.version, second}) {
    if (!version.empty() && !HasVersion(function, version)) {
      return NotFound("Function not found: " + FunctionArn(options, function.name, version));
    }
  }
  alias.revision_id = NewUuid();
  return {};
}

}  // namespace

LambdaRegistry::Answer LambdaRegistry::CreateAlias(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const std::string name(TextOf(input, "Name"));
  const auto edit = [this, input, name](FunctionRecord& function) -> Result<json::object> {
    if (!IsAliasName(name)) {
      return Validation(
          fmt::format("Value '{}' at 'name' failed to satisfy constraint: Member "
                      "must satisfy regular expression pattern: "
                      "(?!^[0-9]+$)([a-zA-Z0-9-_]+)",
                      name));
    }
    if (function.aliases.contains(name)) {
      return Conflict("Alias already exists: " + FunctionArn(options_, function.name, name));
    }
    AliasRecord alias;
    TRY(ApplyAlias(options_, function, input, alias));
    function.aliases[name] = alias;
    return DescribeAlias(options_, function.name, name, alias);
  };
  co_return co_await Change(target.name,
                            MissingFunction(target.name, TextOf(input, "FunctionVersion")), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetAlias(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const std::string name(TextOf(input, "Name"));
  const auto function = Find(target.name);
  if (!function || !function->aliases.contains(name)) {
    co_return NotFound("Cannot find alias arn: " + FunctionArn(options_, target.name, name));
  }
  co_return DescribeAlias(options_, target.name, name, function->aliases.at(name));
}

// What calls of the alias will find: made ready while it still leads to what served before.
Task<Result<void>> LambdaRegistry::BeforeTurn(std::string name, std::string alias_name,
                                              json::object input) {
  const auto function = Find(name);
  if (!options_.before_turn || !function || !function->aliases.contains(alias_name)) {
    co_return Result<void>();
  }
  const AliasRecord before = function->aliases.at(alias_name);
  AliasRecord after = before;
  if (!ApplyAlias(options_, *function, input, after)) co_return Result<void>();  // refused later
  const auto runnable = [&](const std::string& number) -> VersionPtr {
    if (!IsVersionNumber(number)) return function->latest->runnable;
    return function->versions.at(std::stoull(number))->runnable;
  };
  for (const auto& to : {after.version, after.second_version}) {
    if (to.empty() || to == before.version || to == before.second_version || !runnable(to))
      continue;
    for (const auto& from : {before.version, before.second_version}) {
      if (from.empty() || !runnable(from)) continue;
      const auto ready = co_await options_.before_turn(runnable(from), runnable(to));
      if (ready) continue;
      co_return InvalidParameter(
          fmt::format("Version {} cannot take over: {}", to, ready.error().message));
    }
  }
  co_return Result<void>();
}

LambdaRegistry::Answer LambdaRegistry::UpdateAlias(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const std::string name(TextOf(input, "Name"));
  const auto edit = [this, input, name](FunctionRecord& function) -> Result<json::object> {
    const auto found = function.aliases.find(name);
    if (found == function.aliases.end()) {
      return NotFound("Alias not found: " + FunctionArn(options_, function.name, name));
    }
    const auto revision = TextOf(input, "RevisionId");
    if (!revision.empty() && revision != found->second.revision_id) return StaleRevision();
    TRY(ApplyAlias(options_, function, input, found->second));
    if (function.provisioned.contains(name)) TRY(CheckProvisionedVersions(function, name));
    return DescribeAlias(options_, function.name, name, found->second);
  };
  CO_TRY(co_await BeforeTurn(target.name, name, input));
  co_return co_await Change(target.name, MissingFunction(target.name), edit);
}

LambdaRegistry::Answer LambdaRegistry::DeleteAlias(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const std::string name(TextOf(input, "Name"));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(MissingFunction(target.name));
  if (!function->aliases.contains(name)) co_return json::object();
  co_return co_await Change(target.name, MissingFunction(target.name),
                            [name](FunctionRecord& changed) -> Result<json::object> {
                              changed.aliases.erase(name);
                              changed.policies.erase(name);
                              changed.urls.erase(name);
                              changed.event_invoke.erase(name);
                              changed.provisioned.erase(name);
                              return json::object();
                            });
}

LambdaRegistry::Answer LambdaRegistry::ListAliases(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(MissingFunction(target.name));
  const auto version = TextOf(input, "FunctionVersion");
  std::vector<std::pair<std::string, const AliasRecord*>> items;
  for (const auto& [name, alias] : function->aliases) {
    if (version.empty() || alias.version == version) items.emplace_back(name, &alias);
  }
  const auto page = PageOf(items, input, kPage, [](const auto& item) { return item.first; });
  json::array aliases;
  for (auto i = page.first; i < page.last; ++i) {
    aliases.push_back(DescribeAlias(options_, target.name, items[i].first, *items[i].second));
  }
  json::object answer{{"Aliases", std::move(aliases)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

}  // namespace samovar
