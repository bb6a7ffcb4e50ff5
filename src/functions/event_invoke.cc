// Event-invoke-config: what becomes of asynchronous invocations.

#include <fmt/format.h>

#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kPage = 50;

std::string QualifierOf(const std::string& qualifier) {
  return qualifier.empty() ? "$LATEST" : qualifier;
}

bool HasQualifier(const FunctionRecord& function, const std::string& qualifier) {
  return qualifier == "$LATEST" || function.aliases.contains(qualifier) ||
         (IsVersionNumber(qualifier) && function.versions.contains(std::stoull(qualifier)));
}

Error NoFunction() {
  return Error{Code::kNotFound, "The function doesn't exist.", "ResourceNotFoundException"};
}

Error NoConfig(const std::string& arn) {
  return Error{Code::kNotFound,
               fmt::format("The function {} doesn't have an EventInvokeConfig", arn),
               "ResourceNotFoundException"};
}

std::string_view DestinationOf(const json::object& config, std::string_view side) {
  const auto* destinations = ObjectOf(config, "DestinationConfig");
  const auto* end = destinations ? ObjectOf(*destinations, side) : nullptr;
  return end ? TextOf(*end, "Destination") : std::string_view();
}

// Lays the members of `input` over `config`, in the form in which they are answered.
void ApplyEventInvoke(const json::object& input, double now, json::object& config) {
  for (const auto* key : {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"}) {
    if (Has(input, key)) config[key] = input.at(key);
  }
  if (Has(input, "DestinationConfig") || !Has(config, "DestinationConfig")) {
    json::object destinations;
    for (const auto* side : {"OnSuccess", "OnFailure"}) {
      const auto arn = DestinationOf(input, side);
      destinations[side] = arn.empty() ? json::object() : json::object{{"Destination", arn}};
    }
    config["DestinationConfig"] = std::move(destinations);
  }
  config["LastModified"] = now;
}

double SecondsOf(WallTime time) {
  return std::chrono::duration<double>(
             std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()))
      .count();
}

bool SetsNothing(const json::object& input) {
  return !Has(input, "MaximumRetryAttempts") && !Has(input, "MaximumEventAgeInSeconds") &&
         !Has(input, "DestinationConfig");
}

}  // namespace

Result<void> LambdaRegistry::CheckDestination(const json::object& input,
                                              std::string_view own_name) const {
  const auto said = [&](std::string_view side, std::string_view kind) {
    const auto arn = DestinationOf(input, side);
    return arn.empty() ? std::string("null") : fmt::format("{}(destination={})", kind, arn);
  };
  for (const auto* side : {"OnSuccess", "OnFailure"}) {
    const std::string arn(DestinationOf(input, side));
    if (arn.empty()) continue;
    const auto ref = ParseFunctionRef(arn);
    if (arn.starts_with("arn:") && ref) {
      if (ref->name == own_name) {
        return InvalidParameter("You can't specify the function as a destination for itself.");
      }
      if (!Find(ref->name)) {
        return InvalidParameter(fmt::format("The destination ARN {} is invalid.", arn));
      }
      continue;
    }
    for (const auto* service : {":sqs:", ":sns:", ":events:", ":s3:"}) {
      if (arn.find(service) != std::string::npos) {
        return InvalidParameter(fmt::format(
            "The destination ARN {} is not supported here: results can go to another function only "
            "(the ARN of a Lambda function).",
            arn));
      }
    }
    return InvalidParameter(
        fmt::format("The provided destination config DestinationConfig(onSuccess={}, "
                    "onFailure={}) is invalid.",
                    said("OnSuccess", "OnSuccess"), said("OnFailure", "OnFailure")));
  }
  return {};
}

json::object LambdaRegistry::DescribeEventInvoke(const FunctionRecord& function,
                                                 const std::string& qualifier) const {
  auto answer = function.event_invoke.at(qualifier);
  answer["FunctionArn"] = FunctionArn(options_, function.name, qualifier);
  return answer;
}

LambdaRegistry::Answer LambdaRegistry::PutFunctionEventInvokeConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto edit = [this, input, target](FunctionRecord& function) -> Result<json::object> {
    const auto qualifier = QualifierOf(target.qualifier);
    if (!HasQualifier(function, qualifier)) return std::unexpected(NoFunction());
    if (SetsNothing(input)) {
      return InvalidParameter(
          "You must specify at least one of error handling or destination "
          "setting.");
    }
    TRY(CheckDestination(input, function.name));
    json::object config;
    ApplyEventInvoke(input, SecondsOf(clock_.Wall()), config);
    function.event_invoke[qualifier] = std::move(config);
    return DescribeEventInvoke(function, qualifier);
  };
  co_return co_await Change(target.name, NoFunction(), edit);
}

LambdaRegistry::Answer LambdaRegistry::UpdateFunctionEventInvokeConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto edit = [this, input, target](FunctionRecord& function) -> Result<json::object> {
    const auto qualifier = QualifierOf(target.qualifier);
    if (!HasQualifier(function, qualifier)) return std::unexpected(NoFunction());
    const auto config = function.event_invoke.find(qualifier);
    if (config == function.event_invoke.end()) {
      return std::unexpected(NoConfig(FunctionArn(options_, function.name, qualifier)));
    }
    if (SetsNothing(input)) {
      return InvalidParameter(
          "You must specify at least one of error handling or destination "
          "setting.");
    }
    TRY(CheckDestination(input, function.name));
    ApplyEventInvoke(input, SecondsOf(clock_.Wall()), config->second);
    return DescribeEventInvoke(function, qualifier);
  };
  co_return co_await Change(target.name, NoFunction(), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetFunctionEventInvokeConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  const auto qualifier = QualifierOf(target.qualifier);
  if (!function || !function->event_invoke.contains(qualifier)) {
    co_return std::unexpected(NoConfig(FunctionArn(options_, target.name, qualifier)));
  }
  co_return DescribeEventInvoke(*function, qualifier);
}

LambdaRegistry::Answer LambdaRegistry::DeleteFunctionEventInvokeConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto qualifier = QualifierOf(target.qualifier);
  const auto none = NoConfig(FunctionArn(options_, target.name, qualifier));
  const auto edit = [qualifier, none](FunctionRecord& function) -> Result<json::object> {
    if (function.event_invoke.erase(qualifier) == 0) return std::unexpected(none);
    return json::object();
  };
  co_return co_await Change(target.name, none, edit);
}

LambdaRegistry::Answer LambdaRegistry::ListFunctionEventInvokeConfigs(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(NoFunction());
  std::vector<std::string> qualifiers;
  for (const auto& [qualifier, config] : function->event_invoke) qualifiers.push_back(qualifier);
  const auto page = PageOf(qualifiers, input, kPage, [](const auto& item) { return item; });
  json::array configs;
  for (auto i = page.first; i < page.last; ++i) {
    configs.push_back(DescribeEventInvoke(*function, qualifiers[i]));
  }
  json::object answer{{"FunctionEventInvokeConfigs", std::move(configs)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

AsyncPolicy LambdaRegistry::AsyncPolicyOf(const std::string& name, const std::string& qualifier) {
  AsyncPolicy policy;
  const auto found = FindVersion({name, qualifier});
  if (!found) return policy;
  if (const auto* dead = ObjectOf(found->version->config, "DeadLetterConfig")) {
    policy.dead_letter_arn = TextOf(*dead, "TargetArn");
  }
  const auto config = found->function->event_invoke.find(QualifierOf(qualifier));
  if (config == found->function->event_invoke.end()) return policy;
  policy.max_retries =
      static_cast<int>(IntOf(config->second, "MaximumRetryAttempts").value_or(policy.max_retries));
  policy.max_age = std::chrono::seconds(
      IntOf(config->second, "MaximumEventAgeInSeconds").value_or(policy.max_age.count()));
  policy.on_success_arn = DestinationOf(config->second, "OnSuccess");
  policy.on_failure_arn = DestinationOf(config->second, "OnFailure");
  return policy;
}

}  // namespace samovar
