// Resource policies of layer versions.

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "base/ids.h"
#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"
#include "functions/policy_statement.h"

namespace samovar {
namespace {

namespace json = boost::json;

struct LayerTarget {
  std::string name;
  std::uint64_t number = 0;
  std::string arn;
};

LayerTarget LayerTargetOf(const RegistryOptions& options, const json::object& input) {
  const auto given = TextOf(input, "LayerName");
  const auto ref = ParseLayerArn(given);
  LayerTarget target{std::string(ref ? ref->name : given),
                     static_cast<std::uint64_t>(IntOf(input, "VersionNumber").value_or(0)),
                     {}};
  target.arn = fmt::format("{}:{}", LayerArn(options, target.name), target.number);
  return target;
}

Error NoVersion(const LayerTarget& target) {
  return Error{Code::kNotFound, fmt::format("Layer version {} does not exist.", target.arn),
               "ResourceNotFoundException"};
}

}  // namespace

LambdaRegistry::Answer LambdaRegistry::AddLayerVersionPermission(json::object input) {
  const auto target = LayerTargetOf(options_, input);
  const auto edit = [input, target](LayerRecord& layer) -> Result<json::object> {
    const auto found = layer.versions.find(target.number);
    if (found == layer.versions.end()) return std::unexpected(NoVersion(target));
    auto& version = found->second;
    const auto revision = TextOf(input, "RevisionId");
    if (!revision.empty() && revision != version.policy_revision) {
      return StaleRevision("GetLayerPolicy");
    }
    const auto sid = TextOf(input, "StatementId");
    if (FindStatement(version.statements, sid) < version.statements.size()) {
      return std::unexpected(DuplicateStatement(sid));
    }
    TRY(auto statement, MakeStatement(input, target.arn));
    version.statements.push_back(statement);
    version.policy_revision = NewUuid();
    return json::object{{"Statement", json::serialize(statement)},
                        {"RevisionId", version.policy_revision}};
  };
  if (!FindLayer(target.name)) co_return std::unexpected(NoVersion(target));
  co_return co_await ChangeLayer(target.name, edit);
}

LambdaRegistry::Answer LambdaRegistry::RemoveLayerVersionPermission(json::object input) {
  const auto target = LayerTargetOf(options_, input);
  const auto edit = [input, target](LayerRecord& layer) -> Result<json::object> {
    const auto found = layer.versions.find(target.number);
    if (found == layer.versions.end()) return std::unexpected(NoVersion(target));
    auto& version = found->second;
    const auto revision = TextOf(input, "RevisionId");
    if (!revision.empty() && revision != version.policy_revision) {
      return StaleRevision("GetLayerPolicy");
    }
    const std::string sid(TextOf(input, "StatementId"));
    const auto at = FindStatement(version.statements, sid);
    if (at == version.statements.size()) {
      return NotFound("Statement " + sid + " is not found in resource policy.");
    }
    version.statements.erase(version.statements.begin() + static_cast<std::ptrdiff_t>(at));
    version.policy_revision = NewUuid();
    return json::object();
  };
  if (!FindLayer(target.name)) co_return std::unexpected(NoVersion(target));
  co_return co_await ChangeLayer(target.name, edit);
}

LambdaRegistry::Answer LambdaRegistry::GetLayerVersionPolicy(json::object input) {
  const auto target = LayerTargetOf(options_, input);
  const auto layer = FindLayer(target.name);
  if (!layer || !layer->versions.contains(target.number)) {
    co_return std::unexpected(NoVersion(target));
  }
  const auto& version = layer->versions.at(target.number);
  if (version.statements.empty()) {
    co_return NotFound("No policy is associated with the given resource.");
  }
  co_return json::object{{"Policy", PolicyDocument(version.statements)},
                         {"RevisionId", version.policy_revision}};
}

}  // namespace samovar
