// PublishVersion and ListVersionsByFunction.

#include <fmt/format.h>

#include "functions/configuration.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"
#include "functions/version_record.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kPage = 50;

// The newest version, where publishing $LATEST again would only repeat it.
VersionRecordPtr SameAsNewest(const FunctionRecord& function, const CollectionPins& pins) {
  if (function.versions.empty()) return nullptr;
  const auto& [number, newest] = *function.versions.rbegin();
  if (number + 1 != function.next_version) return nullptr;  // the newest was deleted
  auto config = newest->config;
  config["Description"] = newest->source_description;
  const auto& latest = *function.latest;
  const bool same = config == latest.config && newest->package == latest.package &&
                    newest->layers == latest.layers && newest->pins == pins;
  return same ? newest : nullptr;
}

// The Version that instances of a fresh publication are made from: $LATEST's under another number.
VersionPtr Renumbered(const Version& latest, const FunctionRecord& function,
                      const VersionRecord& record) {
  auto version = std::make_shared<Version>(latest);
  version->number = record.number;
  version->revision = record.instance_revision;
  version->snap_start = HasSnapStart(record);
  if (const auto tag = function.Collections()) version->collections = WithPins(*tag, record.pins);
  return version;
}

}  // namespace

Task<Result<CollectionPins>> LambdaRegistry::PinAll(std::optional<std::string> tag) {
  CollectionPins pins;
  if (!tag || !options_.pin) co_return pins;
  CO_TRY(const auto access, ParseCollectionAccess(*tag));
  for (const auto& one : access) {
    if (!one.pinned) continue;
    const auto generation = co_await options_.pin(one.name);
    if (!generation && generation.error().code == Code::kNotFound) {
      co_return InvalidParameter(
          fmt::format("{}: {}:r@pinned: {}: a version can keep a generation of it once it is made",
                      kCollectionsTag, one.name, generation.error().message));
    }
    CO_TRY(generation);
    pins[one.name] = *generation;
  }
  co_return pins;
}

std::map<std::string, std::vector<std::string>> LambdaRegistry::Pins() const {
  std::map<std::string, std::vector<std::string>> used;
  auto add = [&](const std::string& name, std::uint64_t generation, std::string user) {
    used[CollectionAccess{.name = name, .generation = generation}.Stored()].push_back(
        std::move(user));
  };
  for (const auto& [name, function] : functions_) {
    for (const auto& [number, version] : function->versions) {
      for (const auto& [collection, generation] : version->pins) {
        add(collection, generation, name + ":" + std::to_string(number));
      }
    }
    const auto access = ParseCollectionAccess(function->Collections().value_or(""));
    for (const auto& one : access.value_or(std::vector<CollectionAccess>())) {
      if (one.generation != 0) add(one.name, one.generation, name);
    }
  }
  return used;
}

LambdaRegistry::Answer LambdaRegistry::PublishVersion(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto now = Find(target.name);
  CO_TRY(const auto pins, co_await PinAll(now ? now->Collections() : std::nullopt));
  const auto edit = [this, input, pins](FunctionRecord& function) -> Result<json::object> {
    const auto& latest = *function.latest;
    const auto revision = TextOf(input, "RevisionId");
    if (!revision.empty() && revision != latest.revision_id) return StaleRevision();
    const auto current = TextOf(latest.config, "CodeSha256");
    if (const auto sha = TextOf(input, "CodeSha256"); !sha.empty() && sha != current) {
      return InvalidParameter(fmt::format(
          "CodeSHA256 ({}) is different from current CodeSHA256 in $LATEST ({}). Please try again "
          "with the CodeSHA256 in $LATEST.",
          sha, current));
    }
    if (latest.update_status == "InProgress") {
      return Conflict(
          "The operation cannot be performed at this time. An update is in progress "
          "for resource: " +
          FunctionArn(options_, function.name));
    }
    if (latest.state != "Active" || !latest.runnable) {
      return Conflict(
          fmt::format("The operation cannot be performed at this time. The function is "
                      "currently in the following state: {}",
                      latest.state));
    }
    if (const auto same = SameAsNewest(function, pins))
      return Describe(function, *same, same->number);
    const auto description = Has(input, "Description") ? TextOf(input, "Description")
                                                       : TextOf(latest.config, "Description");
    const auto number = function.next_version++;
    auto version = std::make_shared<VersionRecord>(PublishedCopy(latest, number, description));
    version->pins = pins;
    version->update_status = "Successful";
    version->update_reason.clear();
    version->update_reason_code.clear();
    version->last_modified = Now();
    if (options_.prepare && HasSnapStart(*version)) {
      BeginPending(*version, Now());
    } else {
      version->runnable = Renumbered(*latest.runnable, function, *version);
    }
    function.versions[number] = version;
    function.latest = Touched(latest);
    return Describe(function, *version, version->number);
  };
  auto answer = co_await Change(target.name, MissingFunction(target.name), edit);
  if (answer) StartActivation(target.name);
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::ListVersionsByFunction(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(MissingFunction(target.name));
  std::vector<std::pair<std::string, VersionRecordPtr>> items{{"0", function->latest}};
  for (const auto& [number, version] : function->versions) {
    items.emplace_back(fmt::format("{:020}", number), version);
  }
  const auto page = PageOf(items, input, kPage, [](const auto& item) { return item.first; });
  json::array versions;
  for (auto i = page.first; i < page.last; ++i) {
    const auto& version = *items[i].second;
    versions.push_back(DescribeVersion(options_, *function, version, version.number, true));
  }
  json::object answer{{"Versions", std::move(versions)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

}  // namespace samovar
