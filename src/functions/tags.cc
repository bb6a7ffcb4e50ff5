// Tags of functions. samovar:network = egress opens the network to a function's instances,
// samovar:clone = off has each of them initialise afresh, samovar:collections says which
// collections they see, samovar:http that an image's program listens for HTTP: changing these makes
// every version anew.

#include <fmt/format.h>

#include "base/ids.h"
#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/images.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"
#include "functions/version_record.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxTags = 50;

// What tags say about how instances are made.
struct Ways {
  bool egress, may_clone;
  std::optional<std::string> collections;
  int http_port;
  friend bool operator==(const Ways&, const Ways&) = default;
};
Ways WaysOf(const FunctionRecord& function) {
  return {function.Egress(), function.MayClone(), function.Collections(), function.HttpPort()};
}

VersionRecordPtr Remade(const VersionRecordPtr& record, const Ways& ways) {
  // One that SnapStart initialises now was begun by the old tags: another revision begins anew.
  const bool preparing = record && record->state == "Pending" && HasSnapStart(*record);
  if (!record || (!record->runnable && !preparing)) return record;
  auto copy = std::make_shared<VersionRecord>(*record);
  copy->instance_revision = NewUuid();
  if (preparing) return copy;
  auto runnable = std::make_shared<Version>(*record->runnable);
  runnable->revision = copy->instance_revision;
  runnable->egress = ways.egress;
  runnable->may_clone = ways.may_clone;
  runnable->collections = ways.collections;
  if (runnable->image) {
    auto image = std::make_shared<VersionImage>(*runnable->image);
    image->http_port = ways.http_port;
    runnable->image = std::move(image);
  }
  if (ways.collections) runnable->collections = WithPins(*ways.collections, copy->pins);
  copy->runnable = std::move(runnable);
  return copy;
}

// After the tags changed: a new revision, and new instances where they are made in another way.
void AfterTags(FunctionRecord& function, const Ways& before) {
  function.latest = Touched(*function.latest);
  const auto ways = WaysOf(function);
  if (ways == before) return;
  function.latest = Remade(function.latest, ways);
  function.serving = Remade(function.serving, ways);
  for (auto& [number, version] : function.versions) version = Remade(version, ways);
}

}  // namespace

Result<std::string> LambdaRegistry::TaggedFunction(const json::object& input) const {
  const std::string arn(TextOf(input, "Resource"));
  for (const auto& [kind, what] : {std::pair{":event-source-mapping:", "Event source mapping"},
                                   std::pair{":capacity-provider:", "Capacity provider"}}) {
    if (arn.find(kind) != std::string::npos) {
      return NotFound(fmt::format("{} not found: {}", what, arn));
    }
  }
  if (arn.find(":layer:") != std::string::npos ||
      arn.find(":code-signing-config:") != std::string::npos) {
    return Unsupported("Tags are supported on functions only.");
  }
  TRY(auto target, ParseTarget(arn, ""));
  if (!target.qualifier.empty()) {
    return InvalidParameter(
        "Tags on function aliases and versions are not supported. Please specify a function ARN.");
  }
  if (!Find(target.name)) return std::unexpected(MissingFunction(target.name));
  return target.name;
}

LambdaRegistry::Answer LambdaRegistry::TagResource(json::object input) {
  CO_TRY(const auto name, TaggedFunction(input));
  CO_TRY(const auto given, TagsOf(input));
  if (given.empty()) {
    co_return InvalidParameter("An error occurred and the request cannot be processed.");
  }
  const auto edit = [given](FunctionRecord& function) -> Result<json::object> {
    const auto ways = WaysOf(function);
    for (const auto& [key, value] : given) function.tags[key] = value;
    if (function.tags.size() > kMaxTags) {
      return InvalidParameter("Number of tags exceeds resource tag limit.");
    }
    TRY(CheckHttpTag(function));
    AfterTags(function, ways);
    return json::object();
  };
  co_return co_await Change(name, MissingFunction(name), edit);
}

LambdaRegistry::Answer LambdaRegistry::UntagResource(json::object input) {
  CO_TRY(const auto name, TaggedFunction(input));
  const auto* keys = ArrayOf(input, "TagKeys");
  if (!keys || keys->empty()) {
    co_return Validation(
        "Value null at 'tagKeys' failed to satisfy constraint: Member must not be null");
  }
  const auto edit = [keys = *keys](FunctionRecord& function) -> Result<json::object> {
    const auto ways = WaysOf(function);
    for (const auto& key : keys) {
      if (key.is_string()) function.tags.erase(std::string(key.get_string()));
    }
    AfterTags(function, ways);
    return json::object();
  };
  co_return co_await Change(name, MissingFunction(name), edit);
}

LambdaRegistry::Answer LambdaRegistry::ListTags(json::object input) {
  CO_TRY(const auto name, TaggedFunction(input));
  co_return json::object{{"Tags", DescribeTags(*Find(name))}};
}

}  // namespace samovar
