// UpdateFunctionCode and UpdateFunctionConfiguration: $LATEST changes, what served goes on serving
// until the new one is unpacked.

#include <fmt/format.h>

#include "functions/configuration.h"
#include "functions/images.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"
#include "functions/version_record.h"

namespace samovar {
namespace {

namespace json = boost::json;

// Whether a change of $LATEST may begin now.
Result<void> CheckReady(const RegistryOptions& options, const FunctionRecord& function,
                        const json::object& input) {
  const auto& latest = *function.latest;
  const auto revision = TextOf(input, "RevisionId");
  if (!revision.empty() && revision != latest.revision_id) return StaleRevision();
  if (latest.update_status == "InProgress") {
    return Conflict(
        "The operation cannot be performed at this time. An update is in progress for "
        "resource: " +
        FunctionArn(options, function.name));
  }
  if (latest.state == "Pending") {
    return Conflict(
        "The operation cannot be performed at this time. The function is currently in the "
        "following state: Pending");
  }
  return {};
}

// Puts `next` in the place of $LATEST.
void BeginChange(FunctionRecord& function, std::shared_ptr<VersionRecord> next, std::string now) {
  if (function.latest->state == "Active") {
    function.serving = function.latest;
    BeginUpdate(*next, std::move(now));
  } else {
    BeginPending(*next, std::move(now));
  }
  function.latest = std::move(next);
}

// The version that UpdateFunctionCode publishes at once; it waits for the unpacking as $LATEST
// does.
VersionRecordPtr PublishPending(FunctionRecord& function, const std::string& now,
                                CollectionPins pins) {
  const auto number = function.next_version++;
  auto version =
      PublishedCopy(*function.latest, number, TextOf(function.latest->config, "Description"));
  version.pins = std::move(pins);
  BeginPending(version, now);
  return function.versions[number] = std::make_shared<VersionRecord>(std::move(version));
}

}  // namespace

LambdaRegistry::Answer LambdaRegistry::UpdateFunctionCode(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto missing = MissingFunction(target.name);
  if (const auto function = Find(target.name)) {  // before a long import
    CO_TRY(CheckReady(options_, *function, input));
  } else {
    co_return std::unexpected(missing);
  }
  const bool image = IsImage(Find(target.name)->latest->config);
  if (Has(input, "ImageUri") != image) {
    co_return InvalidParameter(
        image ? "Please provide ImageUri when updating a function with packageType Image."
              : "Please don't provide ImageUri when updating a function with packageType Zip.");
  }
  if (Has(input, "PublishTo")) co_return Unsupported("PublishTo is not supported by this server.");
  CO_TRY(CheckArchitectures(input));
  PackageInfo package;
  if (!image) {
    CO_TRY(package, co_await TakeCode(input));
    if (const auto current = Find(target.name)) {
      CO_TRY(co_await CheckModelCode(current->latest->config, package.hash));
    }
  }
  const bool publish = FlagOf(input, "Publish") && !FlagOf(input, "DryRun");
  const auto tagged = publish ? Find(target.name) : nullptr;
  CO_TRY(auto pins, co_await PinAll(tagged ? tagged->Collections() : std::nullopt));

  const auto guard = co_await changing_.Lock("f/" + target.name);
  const auto before = Find(target.name);
  if (!before) co_return std::unexpected(missing);
  CO_TRY(CheckReady(options_, *before, input));
  auto after = std::make_shared<FunctionRecord>(*before);
  auto latest = std::make_shared<VersionRecord>(*before->latest);
  if (image != IsImage(latest->config)) co_return std::unexpected(missing);  // made anew meanwhile
  if (image) {
    CO_TRY(TakeImage(input, options_, *latest));
  } else {
    SetCode(*latest, package);
  }
  if (FlagOf(input, "DryRun")) co_return Describe(*after, *latest, "");
  const auto now = Now();
  BeginChange(*after, std::move(latest), now);
  auto answer = Describe(*after, *after->latest, "");
  if (FlagOf(input, "Publish")) {
    const auto version = PublishPending(*after, now, std::move(pins));
    answer = Describe(*after, *version, version->number);
  }
  CO_TRY(co_await Store(before, after));
  StartActivation(target.name);
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::UpdateFunctionConfiguration(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto edit = [this, input](FunctionRecord& function) -> Result<json::object> {
    TRY(CheckReady(options_, function, input));
    auto latest = std::make_shared<VersionRecord>(*function.latest);
    TRY(ApplyConfiguration(input, function.name, false, options_, latest->config));
    TRY(CheckImage(*latest, options_));
    if (Has(input, "Layers")) {
      TRY(latest->layers, TakeLayers(input));
    }
    BeginChange(function, std::move(latest), Now());
    return Describe(function, *function.latest, "");
  };
  auto answer = co_await Change(target.name, MissingFunction(target.name), edit);
  if (answer) StartActivation(target.name);
  co_return answer;
}

}  // namespace samovar
