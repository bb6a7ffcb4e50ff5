// What stands beside a function: tags, concurrency, versions, aliases, URL, permissions, retries
// (Deployer, declared in deploy.h).
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <map>

#include "base/encoding.h"
#include "main/deploy.h"

namespace samovar {

namespace {

std::string Qualified(const std::string& path, const std::string& qualifier) {
  return qualifier.empty() ? path : path + "?Qualifier=" + PercentEncode(qualifier);
}

// Whether every member that is wanted is there with that value.
bool Holds(const boost::json::value& present, const boost::json::object& wanted) {
  for (const auto& field : wanted) {
    const boost::json::value& there = JsonMember(present, field.key());
    if (field.value().is_object() ? !Holds(there, field.value().as_object())
                                  : there != field.value()) {
      return false;
    }
  }
  return true;
}

// The shares of other versions that an alias has.
std::map<std::string, double> WeightsOf(const boost::json::value& alias) {
  std::map<std::string, double> weights;
  const auto& members =
      JsonMember(JsonMember(alias, "RoutingConfig"), "AdditionalVersionWeights").as_object();
  for (const auto& [version, share] : members) weights[version] = share.to_number<double>();
  return weights;
}

boost::json::value FindStatement(const boost::json::value& policy, const std::string& id) {
  boost::system::error_code bad;
  const boost::json::value document = boost::json::parse(JsonText(policy, "Policy"), bad);
  const boost::json::value& statements = JsonMember(document, "Statement");
  if (bad || !statements.is_array()) return nullptr;
  for (const auto& statement : statements.as_array()) {
    if (JsonText(statement, "Sid") == id) return statement;
  }
  return nullptr;
}

bool SamePermission(const boost::json::value& statement, const PermissionPlan& wanted) {
  const std::string text = boost::json::serialize(statement);
  return JsonText(statement, "Action") == wanted.action &&
         text.find("\"" + wanted.principal + "\"") != std::string::npos &&
         (wanted.url_auth_type.empty() ||
          text.find("\"" + wanted.url_auth_type + "\"") != std::string::npos) &&
         (wanted.source_arn.empty() ||
          text.find("\"" + wanted.source_arn + "\"") != std::string::npos);
}

}  // namespace

Result<void> Deployer::DeployTags(const FunctionPlan& function, const boost::json::value& current) {
  const boost::json::value& present = JsonMember(current, "Tags");
  boost::json::object missing;
  for (const auto& [key, value] : function.tags) {
    if (JsonText(present, key) != value) missing[key] = value;
  }
  if (missing.empty()) return {};
  const std::string arn = JsonText(JsonMember(current, "Configuration"), "FunctionArn");
  const std::size_t count = missing.size();
  TRY(boost::json::value done, client_.Json("POST", "/2017-03-31/tags/" + PercentEncode(arn),
                                            boost::json::object{{"Tags", std::move(missing)}}));
  Note("tags", function.name, "updated", fmt::format("{}", count));
  return {};
}

Result<void> Deployer::DeployConcurrency(const FunctionPlan& function,
                                         const boost::json::value& current) {
  if (!function.reserved_concurrency) return {};
  const int wanted = *function.reserved_concurrency;
  const boost::json::value& present = JsonMember(current, "Concurrency");
  const boost::json::object* fields = present.if_object();
  const bool had = fields != nullptr && fields->contains("ReservedConcurrentExecutions");
  if (had && JsonNumber(present, "ReservedConcurrentExecutions") == wanted) return {};
  TRY(boost::json::value done,
      client_.Json("PUT", FunctionPath(function.name, "/concurrency", "2017-10-31"),
                   boost::json::object{{"ReservedConcurrentExecutions", wanted}}));
  Note("concurrency", function.name, had ? "updated" : "created", fmt::format("{}", wanted));
  return {};
}

Result<void> Deployer::DeployEventInvoke(const FunctionPlan& function) {
  if (!function.event_invoke) return {};
  const std::string qualifier = function.aliases.empty() ? "" : function.aliases.front().name;
  const std::string path =
      Qualified(FunctionPath(function.name, "/event-invoke-config", "2019-09-25"), qualifier);
  TRY(std::optional<boost::json::value> present, client_.JsonIfThere(path));
  const auto wanted =
      FillPlaceholdersIn(boost::json::value(*function.event_invoke), known_).as_object();
  if (present && Holds(*present, wanted)) return {};
  TRY(boost::json::value done, client_.Json("PUT", path, wanted));
  Note("retries", function.name, present ? "updated" : "created");
  return {};
}

Result<void> Deployer::DeployVersion(const FunctionPlan& function) {
  if (!function.publish) return {};
  boost::json::object request;
  if (!function.version_description.empty()) request["Description"] = function.version_description;
  // The server answers with the last version where nothing changed since.
  TRY(boost::json::value made,
      client_.Json("POST", FunctionPath(function.name, "/versions"), request));
  const std::string number = JsonText(made, "Version");
  known_[function.logical_id + ".Version"] = number;
  known_[function.logical_id + ".VersionArn"] = JsonText(made, "FunctionArn");
  TRY(WaitUntilReady(function.name));
  for (const AliasPlan& alias : function.aliases) {
    TRY(DeployAlias(function, alias, number));
    if (alias.provisioned > 0) TRY(DeployProvisioned(function, alias));
  }
  return {};
}

Result<void> Deployer::DeployProvisioned(const FunctionPlan& function, const AliasPlan& alias) {
  const std::string path =
      Qualified(FunctionPath(function.name, "/provisioned-concurrency", "2019-09-30"), alias.name);
  TRY(std::optional<boost::json::value> present, client_.JsonIfThere(path));
  if (present &&
      JsonNumber(*present, "RequestedProvisionedConcurrentExecutions") == alias.provisioned) {
    return {};
  }
  TRY(boost::json::value done,
      client_.Json("PUT", path,
                   boost::json::object{{"ProvisionedConcurrentExecutions", alias.provisioned}}));
  Note("provisioned", function.name + ":" + alias.name, present ? "updated" : "created",
       fmt::format("{}", alias.provisioned));
  return {};
}

Result<void> Deployer::DeployAlias(const FunctionPlan& function, const AliasPlan& alias,
                                   const std::string& published) {
  const std::string base = FunctionPath(function.name, "/aliases");
  const std::string path = base + "/" + PercentEncode(alias.name);
  const std::string shown = function.name + ":" + alias.name;
  TRY(std::optional<boost::json::value> present, client_.JsonIfThere(path));
  const std::string version =
      alias.version.empty() ? published : FillPlaceholders(alias.version, known_);
  std::map<std::string, double> weights;
  for (const auto& [other, share] : alias.weights) {
    weights[FillPlaceholders(other, known_)] = share;
  }
  // Said also where it is empty: a split of traffic left from before would keep that in use.
  boost::json::object request{
      {"FunctionVersion", version},
      {"RoutingConfig",
       boost::json::object{{"AdditionalVersionWeights", boost::json::value_from(weights)}}}};
  if (!alias.description.empty()) request["Description"] = alias.description;
  std::string now = "version " + version;
  for (const auto& [other, share] : weights) {
    now += fmt::format(", {:.4g} % to version {}", share * 100, other);
  }
  if (!present) {
    request["Name"] = alias.name;
    TRY(boost::json::value made, client_.Json("POST", base, request));
    Note("alias", shown, "created", now);
    return {};
  }
  const std::string before = JsonText(*present, "FunctionVersion");
  if (before == version && WeightsOf(*present) == weights) {
    Note("alias", shown, "unchanged", now);
    return {};
  }
  TRY(boost::json::value done, client_.Json("PUT", path, request));
  Note("alias", shown, "updated",
       before == version ? now : fmt::format("version {} -> {}", before, now.substr(8)));
  return {};
}

Result<void> Deployer::DeployUrl(const FunctionPlan& function) {
  const std::string qualifier = function.url ? function.url->qualifier : "";
  const std::string path = Qualified(FunctionPath(function.name, "/url", "2021-10-31"), qualifier);
  TRY(std::optional<boost::json::value> present, client_.JsonIfThere(path));
  if (!function.url) {
    if (present) {
      warnings_.push_back(
          fmt::format("{} has a function URL ({}) that the template does not name; it stays",
                      function.name, JsonText(*present, "FunctionUrl")));
    }
    return {};
  }
  boost::json::object wanted{{"AuthType", function.url->auth_type},
                             {"InvokeMode", function.url->invoke_mode}};
  if (!function.url->cors.empty()) wanted["Cors"] = function.url->cors;
  if (present && Holds(*present, wanted)) {
    known_[function.logical_id + ".FunctionUrl"] = JsonText(*present, "FunctionUrl");
    Note("url", function.name, "unchanged", JsonText(*present, "FunctionUrl"));
    return {};
  }
  TRY(boost::json::value done, client_.Json(present ? "PUT" : "POST", path, wanted));
  known_[function.logical_id + ".FunctionUrl"] = JsonText(done, "FunctionUrl");
  Note("url", function.name, present ? "updated" : "created", JsonText(done, "FunctionUrl"));
  return {};
}

Result<void> Deployer::DeployPermissions(const FunctionPlan& function) {
  for (const PermissionPlan& permission : function.permissions) {
    const std::string path = FunctionPath(function.name, "/policy");
    TRY(std::optional<boost::json::value> policy,
        client_.JsonIfThere(Qualified(path, permission.qualifier)));
    const boost::json::value statement =
        policy ? FindStatement(*policy, permission.statement_id) : boost::json::value();
    if (!statement.is_null()) {
      if (SamePermission(statement, permission)) continue;
      TRY(boost::json::value gone,
          client_.Json("DELETE", Qualified(path + "/" + PercentEncode(permission.statement_id),
                                           permission.qualifier)));
    }
    boost::json::object request{{"StatementId", permission.statement_id},
                                {"Action", permission.action},
                                {"Principal", permission.principal}};
    if (!permission.url_auth_type.empty()) {
      request["FunctionUrlAuthType"] = permission.url_auth_type;
    }
    if (!permission.source_arn.empty()) request["SourceArn"] = permission.source_arn;
    TRY(boost::json::value done,
        client_.Json("POST", Qualified(path, permission.qualifier), request));
    Note("permission", function.name, statement.is_null() ? "created" : "updated",
         fmt::format("{} for {}", permission.action, permission.principal));
  }
  return {};
}

}  // namespace samovar
