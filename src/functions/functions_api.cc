// CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, DeleteFunction.

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

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kPage = 50;

}  // namespace

LambdaRegistry::Answer LambdaRegistry::CreateFunction(json::object input) {
  CO_TRY(const auto target, ParseTarget(TextOf(input, "FunctionName"), ""));
  const auto& name = target.name;
  if (!target.qualifier.empty()) {
    co_return InvalidParameter(
        fmt::format("A function is created without a qualifier: '{}' names one.",
                    TextOf(input, "FunctionName")));
  }
  if (name.size() > kMaxName) {
    co_return InvalidParameter(
        fmt::format("1 validation error detected: Value '{}' at 'functionName' failed to satisfy "
                    "constraint: Member must have length less than or equal to 64",
                    name));
  }
  const auto exists = [&] { return Conflict("Function already exist: " + name); };
  if (Find(name)) co_return exists();

  auto record = std::make_shared<FunctionRecord>();
  record->name = name;
  auto latest = std::make_shared<VersionRecord>();
  CO_TRY(ApplyConfiguration(input, name, true, options_, latest->config));
  CO_TRY(latest->layers, TakeLayers(input));
  CO_TRY(record->tags, TagsOf(input));
  record->code_signing_arn = TextOf(input, "CodeSigningConfigArn");
  if (!record->code_signing_arn.empty()) CO_TRY(CheckCodeSigningArn(record->code_signing_arn));
  const auto* code = ObjectOf(input, "Code");
  if (IsImage(latest->config)) {
    CO_TRY(TakeImage(code ? *code : json::object(), options_, *latest));
  } else {
    CO_TRY(const auto package, co_await TakeCode(code ? *code : json::object()));
    CO_TRY(co_await CheckModelCode(latest->config, package.hash));
    SetCode(*latest, package);
  }
  const bool publish = FlagOf(input, "Publish");
  CO_TRY(auto pins, co_await PinAll(publish ? record->Collections() : std::nullopt));

  const auto guard = co_await changing_.Lock("f/" + name);
  if (Find(name)) co_return exists();
  BeginPending(*latest, Now());
  if (publish) {
    auto first = PublishedCopy(*latest, 1, TextOf(latest->config, "Description"));
    first.pins = std::move(pins);
    record->versions[1] = std::make_shared<VersionRecord>(std::move(first));
    record->next_version = 2;
  }
  record->latest = std::move(latest);
  CO_TRY(CheckHttpTag(*record));
  CO_TRY(co_await Store(nullptr, record));
  StartActivation(name);
  co_return Describe(*record, publish ? *record->versions[1] : *record->latest, "");
}

LambdaRegistry::Answer LambdaRegistry::GetFunction(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  CO_TRY(const auto found, FindVersion(target));
  CO_TRY(auto configuration, Describe(*found.function, *found.version, target.qualifier));
  json::object answer;
  answer["Configuration"] = std::move(configuration);
  answer["Code"] =
      found.version->image.empty()
          ? json::object{{"RepositoryType", "S3"},
                         {"Location", fmt::format("{}/samovar/v1/packages/{}", options_.endpoint,
                                                  found.version->package)}}
          : DescribeImageCode(*found.version);
  if (!found.function->tags.empty()) answer["Tags"] = DescribeTags(*found.function);
  if (found.function->reserved_concurrency) {
    answer["Concurrency"] =
        json::object{{"ReservedConcurrentExecutions", *found.function->reserved_concurrency}};
  }
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::GetFunctionConfiguration(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  CO_TRY(const auto found, FindVersion(target));
  co_return Describe(*found.function, *found.version, target.qualifier);
}

LambdaRegistry::Answer LambdaRegistry::ListFunctions(json::object input) {
  struct Item {
    std::string key;
    FunctionPtr function;
    VersionRecordPtr version;
  };
  const bool all = TextOf(input, "FunctionVersion") == "ALL";
  const auto marker = TextOf(input, "Marker");
  std::vector<Item> items;
  const auto add = [&](std::string key, const FunctionPtr& function, VersionRecordPtr version) {
    if (key > marker) items.push_back({std::move(key), function, std::move(version)});
  };
  // Names in order, from the marker's on, and no more than a page needs.
  for (auto at = names_.lower_bound(marker.substr(0, marker.find(':')));
       at != names_.end() && items.size() <= kPage; ++at) {
    const auto function = Find(*at);
    add(all ? *at + ":" : *at, function, function->latest);
    if (!all) continue;
    for (const auto& [number, version] : function->versions) {
      add(fmt::format("{}:{:020}", *at, number), function, version);
    }
  }
  const auto page = PageOf(items, input, kPage, [](const Item& item) { return item.key; });
  json::array functions;
  for (auto i = page.first; i < page.last; ++i) {
    const auto& item = items[i];
    functions.push_back(DescribeVersion(options_, *item.function, *item.version,
                                        all ? item.version->number : "", true));
  }
  json::object answer{{"Functions", std::move(functions)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::DeleteFunction(json::object input) {
  CO_TRY(auto target, TargetOf(input));
  if (target.qualifier == "$LATEST") {
    co_return InvalidParameter("$LATEST version cannot be deleted without deleting the function.");
  }
  if (!target.qualifier.empty()) co_return co_await DeleteVersion(std::move(target));
  const auto guard = co_await changing_.Lock("f/" + target.name);
  const auto before = Find(target.name);
  if (!before) co_return std::unexpected(MissingFunction(target.name));
  CO_TRY(co_await Store(before, nullptr));
  co_return json::object{{"StatusCode", 204}};
}

LambdaRegistry::Answer LambdaRegistry::DeleteVersion(Target target) {
  if (!IsVersionNumber(target.qualifier)) {
    co_return InvalidParameter("Deletion of aliases is not currently supported.");
  }
  const auto qualifier = target.qualifier;
  co_return co_await Change(
      target.name, MissingFunction(target.name),
      [qualifier](FunctionRecord& function) -> Result<json::object> {
        std::string aliases;
        for (const auto& [name, alias] : function.aliases) {
          if (alias.version == qualifier || alias.second_version == qualifier) {
            aliases += (aliases.empty() ? "" : ", ") + name;
          }
        }
        if (!aliases.empty()) {
          return Conflict(fmt::format(
              "Unable to delete version because the following aliases reference it: [{}]",
              aliases));
        }
        function.versions.erase(std::stoull(qualifier));
        function.policies.erase(qualifier);
        function.event_invoke.erase(qualifier);
        function.runtime_management.erase(qualifier);
        function.provisioned.erase(qualifier);
        return json::object{{"StatusCode", 204}};
      });
}

}  // namespace samovar
