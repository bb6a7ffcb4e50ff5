// Endpoints of SageMaker: made, turned to other variants without a failed call, and picked from.

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json/array.hpp>

#include "base/log.h"
#include "functions/endpoint_input.h"
#include "functions/endpoint_lists.h"
#include "functions/endpoints.h"
#include "functions/input.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxFailure = 1024;

json::object DescribeVariant(const EndpointVariant& variant, double at) {
  json::object answer{
      {"VariantName", variant.name},
      {"DeployedImages",
       {{{"SpecifiedImage", variant.image},
         {"ResolvedImage",
          variant.function + (variant.qualifier.empty() ? "" : ":" + variant.qualifier)},
         {"ResolutionTime", at}}}},
      {"CurrentWeight", variant.weight},
      {"DesiredWeight", variant.weight}};
  if (variant.serverless.empty()) {
    answer["CurrentInstanceCount"] = variant.instances;
    answer["DesiredInstanceCount"] = variant.instances;
  } else {
    answer["CurrentServerlessConfig"] = variant.serverless;
    answer["DesiredServerlessConfig"] = variant.serverless;
  }
  return answer;
}

json::array DescribeVariants(const std::vector<EndpointVariant>& variants, double at) {
  json::array list;
  for (const auto& variant : variants) list.push_back(DescribeVariant(variant, at));
  return list;
}

double WeightOf(const json::object& input, std::string_view key, double otherwise) {
  const auto* value = input.if_contains(key);
  return value && value->is_number() ? value->to_number<double>() : otherwise;
}

// Shares of calls are of the sum of all weights.
Result<void> CheckWeights(const std::vector<EndpointVariant>& variants) {
  auto some = [](const EndpointVariant& variant) { return variant.weight > 0; };
  if (variants.size() < 2 || std::ranges::any_of(variants, some)) return {};
  return SageMakerInvalid(
      "DesiredWeight: the weight of one of the endpoint's variants at least must be above 0.");
}

EndpointVariant* FindVariant(std::vector<EndpointVariant>& variants, std::string_view name) {
  const auto found = std::ranges::find(variants, name, &EndpointVariant::name);
  return found == variants.end() ? nullptr : &*found;
}

// RetainAllVariantProperties: weights and counts of variants that stay.
void Retain(const json::object& input, const std::vector<EndpointVariant>& before,
            std::vector<EndpointVariant>& after) {
  if (!FlagOf(input, "RetainAllVariantProperties")) return;
  auto excluded = [&](std::string_view property) {
    const auto* list = ArrayOf(input, "ExcludeRetainedVariantProperties");
    return list && std::ranges::any_of(*list, [&](const json::value& entry) {
             return TextOf(entry.as_object(), "VariantPropertyType") == property;
           });
  };
  for (const auto& old : before) {
    auto* now = FindVariant(after, old.name);
    if (!now) continue;
    if (!excluded("DesiredWeight")) now->weight = old.weight;
    if (!excluded("DesiredInstanceCount")) now->instances = old.instances;
  }
}

}  // namespace

Result<std::vector<EndpointVariant>> Endpoints::VariantsOf(std::string_view config) const {
  const auto found = configs_.find(config);
  if (found == configs_.end()) return std::unexpected(Missing(EndpointKind::kConfig, config));
  std::vector<EndpointVariant> variants;
  for (const auto& value : *ArrayOf(found->second->given, "ProductionVariants")) {
    const auto& given = value.as_object();
    const auto name = TextOf(given, "ModelName");
    const auto model = models_.find(name);
    if (model == models_.end()) return std::unexpected(Missing(EndpointKind::kModel, name));
    EndpointVariant variant;
    variant.name = TextOf(given, "VariantName");
    variant.model = name;
    variant.image = model->second->image;
    variant.function = model->second->function;
    variant.qualifier = model->second->qualifier;
    variant.weight = WeightOf(given, "InitialVariantWeight", 1);
    variant.instances = static_cast<int>(IntOf(given, "InitialInstanceCount").value_or(1));
    if (const auto* serverless = ObjectOf(given, "ServerlessConfig")) {
      variant.serverless = *serverless;
    }
    variants.push_back(std::move(variant));
  }
  return variants;
}

Endpoints::Answer Endpoints::CreateEndpoint(Object input) {
  const std::string name(TextOf(input, "EndpointName"));
  const auto guard = co_await changing_.Lock(EndpointRecordKey(EndpointKind::kEndpoint, name));
  if (endpoints_.contains(name)) {
    co_return std::unexpected(Existing(EndpointKind::kEndpoint, name));
  }
  auto record = std::make_shared<EndpointRecord>();
  record->name = name;
  record->status = "Creating";
  record->created = record->modified = clock_.Wall();
  record->next_config = TextOf(input, "EndpointConfigName");
  CO_TRY(record->tags, SageMakerTags(input));
  CO_TRY(record->next, VariantsOf(record->next_config));
  CO_TRY(co_await Store<EndpointRecord>(EndpointKind::kEndpoint, endpoints_, record));
  StartTurn(name);
  co_return json::object{{"EndpointArn", Arn(EndpointKind::kEndpoint, name)}};
}

Endpoints::Answer Endpoints::UpdateEndpoint(Object input) {
  const std::string name(TextOf(input, "EndpointName"));
  const auto guard = co_await changing_.Lock(EndpointRecordKey(EndpointKind::kEndpoint, name));
  const auto found = endpoints_.find(name);
  if (found == endpoints_.end()) co_return std::unexpected(Missing(EndpointKind::kEndpoint, name));
  if (!found->second->next_config.empty()) {
    co_return SageMakerInvalid(fmt::format("Cannot update in-progress endpoint \"{}\".",
                                           Arn(EndpointKind::kEndpoint, name)));
  }
  auto record = std::make_shared<EndpointRecord>(*found->second);
  record->status = "Updating";
  record->modified = clock_.Wall();
  record->next_config = TextOf(input, "EndpointConfigName");
  CO_TRY(record->next, VariantsOf(record->next_config));
  Retain(input, record->variants, record->next);
  CO_TRY(CheckWeights(record->next));
  CO_TRY(co_await Store<EndpointRecord>(EndpointKind::kEndpoint, endpoints_, record));
  StartTurn(name);
  co_return json::object{{"EndpointArn", Arn(EndpointKind::kEndpoint, name)}};
}

Endpoints::Answer Endpoints::UpdateEndpointWeightsAndCapacities(Object input) {
  const std::string name(TextOf(input, "EndpointName"));
  const auto guard = co_await changing_.Lock(EndpointRecordKey(EndpointKind::kEndpoint, name));
  const auto found = endpoints_.find(name);
  if (found == endpoints_.end()) co_return std::unexpected(Missing(EndpointKind::kEndpoint, name));
  if (found->second->status != "InService") {
    co_return SageMakerInvalid(fmt::format("Cannot update in-progress endpoint \"{}\".",
                                           Arn(EndpointKind::kEndpoint, name)));
  }
  auto record = std::make_shared<EndpointRecord>(*found->second);
  for (const auto& value : *ArrayOf(input, "DesiredWeightsAndCapacities")) {
    const auto& wanted = value.as_object();
    auto* variant = FindVariant(record->variants, TextOf(wanted, "VariantName"));
    if (!variant) {
      co_return SageMakerInvalid(
          fmt::format("The variant name(s) \"{}\" is/are not present within "
                      "endpoint configuration \"{}\".",
                      TextOf(wanted, "VariantName"), record->config));
    }
    variant->weight = WeightOf(wanted, "DesiredWeight", variant->weight);
    variant->instances =
        static_cast<int>(IntOf(wanted, "DesiredInstanceCount").value_or(variant->instances));
  }
  CO_TRY(CheckWeights(record->variants));
  record->modified = clock_.Wall();
  CO_TRY(co_await Store<EndpointRecord>(EndpointKind::kEndpoint, endpoints_, record));
  co_return json::object{{"EndpointArn", Arn(EndpointKind::kEndpoint, name)}};
}

Endpoints::Answer Endpoints::DescribeEndpoint(Object input) {
  const auto name = TextOf(input, "EndpointName");
  const auto found = endpoints_.find(name);
  if (found == endpoints_.end()) co_return std::unexpected(Missing(EndpointKind::kEndpoint, name));
  const EndpointRecord& record = *found->second;
  const double modified = EpochSeconds(record.modified);
  json::object answer{
      {"EndpointName", name},
      {"EndpointArn", Arn(EndpointKind::kEndpoint, name)},
      {"EndpointConfigName", record.config.empty() ? record.next_config : record.config},
      {"EndpointStatus", record.status},
      {"CreationTime", EpochSeconds(record.created)},
      {"LastModifiedTime", modified}};
  if (!record.failure.empty()) answer["FailureReason"] = record.failure;
  if (!record.variants.empty()) {
    answer["ProductionVariants"] = DescribeVariants(record.variants, modified);
  }
  if (!record.next_config.empty()) {
    answer["PendingDeploymentSummary"] = {
        {"EndpointConfigName", record.next_config},
        {"ProductionVariants", DescribeVariants(record.next, modified)},
        {"StartTime", modified}};
  }
  co_return answer;
}

Endpoints::Answer Endpoints::ListEndpoints(Object input) {
  std::vector<ListItem> items;
  for (const auto& [name, endpoint] : endpoints_) {
    items.push_back({name,
                     endpoint->created,
                     endpoint->modified,
                     endpoint->status,
                     {{"EndpointName", name},
                      {"EndpointArn", Arn(EndpointKind::kEndpoint, name)},
                      {"EndpointStatus", endpoint->status},
                      {"CreationTime", EpochSeconds(endpoint->created)},
                      {"LastModifiedTime", EpochSeconds(endpoint->modified)}}});
  }
  co_return ListPage(std::move(items), input, "Endpoints");
}

Endpoints::Answer Endpoints::DeleteEndpoint(Object input) {
  co_return co_await Delete(EndpointKind::kEndpoint, endpoints_,
                            std::string(TextOf(input, "EndpointName")));
}

void Endpoints::StartTurn(const std::string& name) {
  asio::co_spawn(loop_, Turn(alive_, name), [](std::exception_ptr failed) {
    if (failed) LogError("turning an endpoint was broken off");
  });
}

Task<std::vector<std::string>> Endpoints::LeadsTo(std::string function, std::string qualifier) {
  std::vector<std::string> versions{qualifier};
  if (qualifier.empty()) co_return versions;
  json::object asked{{"FunctionName", function}, {"Name", qualifier}};
  const auto alias = co_await registry_.Execute("GetAlias", std::move(asked));
  if (!alias) co_return versions;  // it is a version
  versions = {std::string(TextOf(*alias, "FunctionVersion"))};
  if (const auto* routing = ObjectOf(*alias, "RoutingConfig")) {
    if (const auto* weights = ObjectOf(*routing, "AdditionalVersionWeights")) {
      for (const auto& [version, weight] : *weights) versions.emplace_back(version);
    }
  }
  co_return versions;
}

Task<Result<void>> Endpoints::MakeReady(std::vector<EndpointVariant> variants) {
  for (const auto& variant : variants) {
    for (const auto& qualifier : co_await LeadsTo(variant.function, variant.qualifier)) {
      Result<void> ready;
      if (options_.warm) {
        ready = co_await options_.warm(variant.function, qualifier);
      } else if (auto found = co_await registry_.Resolve(variant.function, qualifier); !found) {
        ready = std::unexpected(found.error());
      }
      if (!ready) {
        co_return Fail(ready.error().code, fmt::format("The variant {} cannot be made ready: {}",
                                                       variant.name, ready.error().message));
      }
    }
  }
  co_return Result<void>();
}

// Static, as it goes on after the endpoints are gone: `alive` is asked after every wait.
Task<> Endpoints::Turn(std::weak_ptr<Endpoints*> alive, std::string name) {
  auto self = [&]() -> Endpoints* {
    const auto endpoints = alive.lock();
    return endpoints ? *endpoints : nullptr;
  };
  std::shared_ptr<const EndpointRecord> begun;
  if (auto* owner = self(); owner && owner->endpoints_.contains(name)) {
    begun = owner->endpoints_.at(name);
  }
  if (!begun) co_return;
  const auto ready = co_await self()->MakeReady(begun->next);
  auto* owner = self();
  if (!owner) co_return;
  const auto guard =
      co_await owner->changing_.Lock(EndpointRecordKey(EndpointKind::kEndpoint, name));
  owner = self();
  if (!owner) co_return;
  const auto found = owner->endpoints_.find(name);
  // It may have been deleted meanwhile, and made anew: then it is no longer this one's affair.
  if (found == owner->endpoints_.end() || found->second->next_config.empty() ||
      found->second->created != begun->created) {
    co_return;
  }
  auto record = std::make_shared<EndpointRecord>(*found->second);
  if (ready) {
    record->variants = std::move(record->next);
    record->config = record->next_config;
    record->status = "InService";
    record->failure.clear();
  } else {
    record->failure = ready.error().message.substr(0, kMaxFailure);
    // What served before goes on.
    record->status = record->variants.empty() ? "Failed" : "InService";
    if (record->variants.empty()) record->config = record->next_config;
  }
  record->next.clear();
  record->next_config.clear();
  record->modified = owner->clock_.Wall();
  auto stored =
      co_await owner->Store<EndpointRecord>(EndpointKind::kEndpoint, owner->endpoints_, record);
  if (!stored) LogError("endpoint {}: {}", name, stored.error().message);
}

Result<EndpointTarget> Endpoints::Pick(std::string_view endpoint, std::string_view target_variant) {
  const auto found = endpoints_.find(endpoint);
  if (found == endpoints_.end()) {
    if (target_variant.empty() || target_variant == "AllTraffic") {
      return EndpointTarget{"AllTraffic", std::string(endpoint), ""};
    }
    return std::unexpected(MissingEndpoint(endpoint));
  }
  const auto& variants = found->second->variants;
  if (variants.empty()) return std::unexpected(MissingEndpoint(endpoint));
  const EndpointVariant* picked = nullptr;
  if (!target_variant.empty()) {
    const auto named = std::ranges::find(variants, target_variant, &EndpointVariant::name);
    if (named == variants.end()) {
      return Fail(Code::kInvalid,
                  fmt::format("Variant {} not found for endpoint {} of account {}.", target_variant,
                              endpoint, options_.account_id),
                  "ValidationError");
    }
    picked = &*named;
  } else {
    double sum = 0;
    for (const auto& variant : variants) sum += variant.weight;
    double drawn =
        options_.random ? options_.random() : std::uniform_real_distribution<double>()(generator_);
    drawn *= sum;
    for (const auto& variant : variants) {
      if (variant.weight <= 0 && sum > 0) continue;
      picked = &variant;
      drawn -= variant.weight;
      if (drawn < 0) break;
    }
  }
  return EndpointTarget{picked->name, picked->function, picked->qualifier};
}

}  // namespace samovar
