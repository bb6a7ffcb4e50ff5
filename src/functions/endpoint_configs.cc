// Endpoint configurations of SageMaker: which variants an endpoint is to have.

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <set>

#include "functions/endpoint_input.h"
#include "functions/endpoint_lists.h"
#include "functions/endpoints.h"
#include "functions/input.h"

namespace samovar {

namespace json = boost::json;

std::unexpected<Error> SageMakerInvalid(std::string message) {
  return Fail(Code::kInvalid, std::move(message), "ValidationException");
}

Result<Tags> SageMakerTags(const json::object& input) {
  Tags tags;
  const auto* list = ArrayOf(input, "Tags");
  if (!list) return tags;
  for (const auto& tag : *list) {
    const std::string key(TextOf(tag.as_object(), "Key"));
    if (!tags.emplace(key, TextOf(tag.as_object(), "Value")).second) {
      return SageMakerInvalid(fmt::format("Duplicate tag key '{}'.", key));
    }
  }
  return tags;
}

namespace {

// What would be accepted and then not done.
Result<void> CheckServed(const json::object& input) {
  for (const auto* member : {"AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants",
                             "DataCaptureConfig", "CrossRegionTrafficConfig"}) {
    if (!input.contains(member)) continue;
    const auto* capture = ObjectOf(input, member);
    if (capture && capture->contains("EnableCapture") && !FlagOf(*capture, "EnableCapture")) {
      continue;
    }
    return SageMakerInvalid(fmt::format("{} is not served here.", member));
  }
  return {};
}

}  // namespace

Endpoints::Answer Endpoints::CreateEndpointConfig(Object input) {
  const std::string name(TextOf(input, "EndpointConfigName"));
  const auto guard = co_await changing_.Lock(EndpointRecordKey(EndpointKind::kConfig, name));
  if (configs_.contains(name)) co_return std::unexpected(Existing(EndpointKind::kConfig, name));
  CO_TRY(CheckServed(input));
  std::set<std::string_view> names;
  double weights = 0;
  for (const auto& value : *ArrayOf(input, "ProductionVariants")) {
    const auto& variant = value.as_object();
    const auto its = TextOf(variant, "VariantName");
    if (!names.insert(its).second) {
      co_return SageMakerInvalid(
          fmt::format("ProductionVariants: the variant name '{}' comes twice.", its));
    }
    const auto* weight = variant.if_contains("InitialVariantWeight");
    weights += weight ? weight->to_number<double>() : 1;
    const auto model = TextOf(variant, "ModelName");
    if (model.empty()) {
      co_return SageMakerInvalid(fmt::format(
          "ProductionVariants: the variant '{}' has no ModelName; inference components are not "
          "served here.",
          its));
    }
    if (!models_.contains(model)) {
      co_return std::unexpected(Missing(EndpointKind::kModel, model));
    }
  }
  if (names.size() > 1 && weights <= 0) {
    co_return SageMakerInvalid(
        "ProductionVariants: the InitialVariantWeight of one variant at least must be above 0.");
  }
  auto record = std::make_shared<ConfigRecord>();
  record->name = name;
  CO_TRY(record->tags, SageMakerTags(input));
  record->created = clock_.Wall();
  input.erase("Tags");
  record->given = std::move(input);
  CO_TRY(co_await Store<ConfigRecord>(EndpointKind::kConfig, configs_, record));
  co_return json::object{{"EndpointConfigArn", Arn(EndpointKind::kConfig, name)}};
}

Endpoints::Answer Endpoints::DescribeEndpointConfig(Object input) {
  const auto name = TextOf(input, "EndpointConfigName");
  const auto found = configs_.find(name);
  if (found == configs_.end()) co_return std::unexpected(Missing(EndpointKind::kConfig, name));
  json::object answer = found->second->given;
  answer["EndpointConfigArn"] = Arn(EndpointKind::kConfig, name);
  answer["CreationTime"] = EpochSeconds(found->second->created);
  for (auto& variant : answer["ProductionVariants"].as_array()) {
    auto& members = variant.as_object();
    if (!members.contains("InitialVariantWeight")) members["InitialVariantWeight"] = 1.0;
  }
  co_return answer;
}

Endpoints::Answer Endpoints::ListEndpointConfigs(Object input) {
  std::vector<ListItem> items;
  for (const auto& [name, config] : configs_) {
    items.push_back({name,
                     config->created,
                     config->created,
                     "",
                     {{"EndpointConfigName", name},
                      {"EndpointConfigArn", Arn(EndpointKind::kConfig, name)},
                      {"CreationTime", EpochSeconds(config->created)}}});
  }
  co_return ListPage(std::move(items), input, "EndpointConfigs");
}

Endpoints::Answer Endpoints::DeleteEndpointConfig(Object input) {
  co_return co_await Delete(EndpointKind::kConfig, configs_,
                            std::string(TextOf(input, "EndpointConfigName")));
}

}  // namespace samovar
