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
VersionRecordPtr SameAsNewest(const FunctionRecord& function) {
  if (function.versions.empty()) return nullptr;
  const auto& [number, newest] = *function.versions.rbegin();
  if (number + 1 != function.next_version) return nullptr;  // the newest was deleted
  auto config = newest->config;
  config["Description"] = newest->source_description;
  const auto& latest = *function.latest;
  const bool same = config == latest.config && newest->package == latest.package &&
                    newest->layers == latest.layers;
  return same ? newest : nullptr;
}

// The Version that instances of a fresh publication are made from: $LATEST's under another number.
VersionPtr Renumbered(const Version& latest, const VersionRecord& record) {
  auto version = std::make_shared<Version>(latest);
  version->number = record.number;
  version->revision = record.instance_revision;
  version->snap_start = HasSnapStart(record);
  return version;
}

}  // namespace

LambdaRegistry::Answer LambdaRegistry::PublishVersion(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto edit = [this, input](FunctionRecord& function) -> Result<json::object> {
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
    if (const auto same = SameAsNewest(function)) return Describe(function, *same, same->number);
    const auto description = Has(input, "Description") ? TextOf(input, "Description")
                                                       : TextOf(latest.config, "Description");
    const auto number = function.next_version++;
    auto version = std::make_shared<VersionRecord>(PublishedCopy(latest, number, description));
    version->update_status = "Successful";
    version->update_reason.clear();
    version->update_reason_code.clear();
    version->last_modified = Now();
    if (options_.prepare && HasSnapStart(*version)) {
      BeginPending(*version, Now());
    } else {
      version->runnable = Renumbered(*latest.runnable, *version);
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
