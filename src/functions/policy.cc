// Resource policies of functions, versions and aliases.

#include <boost/json/serialize.hpp>

#include "base/ids.h"
#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"
#include "functions/policy_statement.h"
#include "functions/version_record.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxPolicy = 20'480;

std::string RevisionOf(const FunctionRecord& function, const std::string& qualifier) {
  if (qualifier.empty()) return function.latest->revision_id;
  if (const auto alias = function.aliases.find(qualifier); alias != function.aliases.end()) {
    return alias->second.revision_id;
  }
  return function.versions.at(std::stoull(qualifier))->revision_id;
}

// A policy is part of what it is attached to: that gets a new revision.
void TouchOwner(FunctionRecord& function, const std::string& qualifier) {
  if (qualifier.empty()) {
    function.latest = Touched(*function.latest);
  } else if (const auto alias = function.aliases.find(qualifier); alias != function.aliases.end()) {
    alias->second.revision_id = NewUuid();
  } else {
    auto& version = function.versions.at(std::stoull(qualifier));
    version = Touched(*version);
  }
}

}  // namespace

Result<void> LambdaRegistry::CheckPolicyTarget(const FunctionRecord& function,
                                               std::string_view qualifier) const {
  if (qualifier == "$LATEST") {
    return InvalidParameter("We currently do not support adding policies for $LATEST.");
  }
  if (qualifier.empty() || function.aliases.contains(std::string(qualifier))) return {};
  if (IsVersionNumber(qualifier) &&
      function.versions.contains(std::stoull(std::string(qualifier)))) {
    return {};
  }
  if (IsAliasName(qualifier)) {
    return NotFound("Cannot find alias arn: " + FunctionArn(options_, function.name, qualifier));
  }
  return std::unexpected(MissingFunction(function.name, qualifier));
}

LambdaRegistry::Answer LambdaRegistry::AddPermission(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto edit = [this, input, target](FunctionRecord& function) -> Result<json::object> {
    const auto& qualifier = target.qualifier;
    TRY(CheckPolicyTarget(function, qualifier));
    TRY(auto statement, MakeStatement(input, FunctionArn(options_, function.name, qualifier)));
    const auto revision = TextOf(input, "RevisionId");
    if (!revision.empty() && revision != RevisionOf(function, qualifier)) {
      return StaleRevision("GetPolicy");
    }
    auto& statements = function.policies[qualifier];
    const auto sid = TextOf(input, "StatementId");
    if (FindStatement(statements, sid) < statements.size()) {
      return std::unexpected(DuplicateStatement(sid));
    }
    statements.push_back(statement);
    if (PolicyDocument(statements).size() > kMaxPolicy) {
      return Fail(Code::kTooLarge, "The final policy size is bigger than the limit (20480).",
                  "PolicyLengthExceededException");
    }
    TouchOwner(function, qualifier);
    return json::object{{"Statement", json::serialize(statement)}};
  };
  co_return co_await Change(target.name, MissingFunction(target.name), edit);
}

LambdaRegistry::Answer LambdaRegistry::RemovePermission(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  Error missing{Code::kNotFound, "No policy found for: " + FunctionArn(options_, target.name),
                "ResourceNotFoundException"};
  const auto edit = [this, input, target](FunctionRecord& function) -> Result<json::object> {
    const auto& qualifier = target.qualifier;
    TRY(CheckPolicyTarget(function, qualifier));
    const auto policy = function.policies.find(qualifier);
    if (policy == function.policies.end()) {
      return NotFound("No policy is associated with the given resource.");
    }
    const std::string sid(TextOf(input, "StatementId"));
    auto& statements = policy->second;
    const auto at = FindStatement(statements, sid);
    if (at == statements.size()) {
      return NotFound("Statement " + sid + " is not found in resource policy.");
    }
    const auto revision = TextOf(input, "RevisionId");
    if (!revision.empty() && revision != RevisionOf(function, qualifier)) {
      return StaleRevision("GetPolicy");
    }
    statements.erase(statements.begin() + static_cast<std::ptrdiff_t>(at));
    if (statements.empty()) function.policies.erase(policy);
    TouchOwner(function, qualifier);
    return json::object();
  };
  co_return co_await Change(target.name, std::move(missing), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetPolicy(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  const auto none = NotFound("The resource you requested does not exist.");
  if (!function) co_return none;
  const auto policy = function->policies.find(target.qualifier);
  if (policy == function->policies.end()) co_return none;
  co_return json::object{{"Policy", PolicyDocument(policy->second)},
                         {"RevisionId", RevisionOf(*function, target.qualifier)}};
}

bool LambdaRegistry::PolicyAllowsAll(const std::string& function, const std::string& qualifier,
                                     std::string_view action) {
  const auto found = Find(function);
  if (!found) return false;
  const auto policy = found->policies.find(qualifier);
  return policy != found->policies.end() && AllowsEveryone(policy->second, action);
}

}  // namespace samovar
