// Code-signing configurations: kept, answered and attached to functions. No signatures are checked
// here, so one that would enforce them is refused.

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "base/encoding.h"
#include "base/ids.h"
#include "functions/configuration.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kPage = 50;

std::unexpected<Error> NoConfig(std::string_view arn) {
  return NotFound(fmt::format("The Lambda code signing configuration {} can not be found.", arn));
}

std::string Document(json::object config) {
  config["format"] = 1;
  return json::serialize(config);
}

Result<void> ApplySigning(const json::object& input, std::string now, json::object& config) {
  const auto* policies = ObjectOf(input, "CodeSigningPolicies");
  if (policies && TextOf(*policies, "UntrustedArtifactOnDeployment") == "Enforce") {
    return Unsupported(
        "CodeSigningPolicies.UntrustedArtifactOnDeployment Enforce is not supported by this "
        "server, as it does not check signatures; Warn is accepted.");
  }
  for (const auto* key : {"Description", "AllowedPublishers", "CodeSigningPolicies"}) {
    if (Has(input, key)) config[key] = input.at(key);
  }
  config["LastModified"] = std::move(now);
  return {};
}

}  // namespace

Result<void> LambdaRegistry::CheckCodeSigningArn(std::string_view arn) const {
  if (code_signing_.contains(std::string(arn))) return {};
  return Fail(Code::kNotFound,
              fmt::format("The code signing configuration cannot be found. Check that the provided "
                          "configuration is not deleted: {}.",
                          arn),
              "CodeSigningConfigNotFoundException");
}

LambdaRegistry::Answer LambdaRegistry::CreateCodeSigningConfig(json::object input) {
  const auto id = "csc-" + RandomLowerAlnum(17);
  const auto arn = fmt::format("arn:aws:lambda:{}:{}:code-signing-config:{}", options_.region,
                               options_.account_id, id);
  json::object config{
      {"CodeSigningConfigId", id},
      {"CodeSigningConfigArn", arn},
      {"Description", ""},
      {"CodeSigningPolicies", {{"UntrustedArtifactOnDeployment", "Warn"}}},
  };
  CO_TRY(ApplySigning(input, Now(), config));
  WriteBatch batch;
  batch.Put(CodeSigningKey(arn), Document(config));
  CO_TRY(co_await Write(std::move(batch)));
  code_signing_[arn] = config;
  co_return json::object{{"CodeSigningConfig", std::move(config)}};
}

LambdaRegistry::Answer LambdaRegistry::GetCodeSigningConfig(json::object input) {
  const std::string arn(TextOf(input, "CodeSigningConfigArn"));
  const auto found = code_signing_.find(arn);
  if (found == code_signing_.end()) co_return NoConfig(arn);
  co_return json::object{{"CodeSigningConfig", found->second}};
}

LambdaRegistry::Answer LambdaRegistry::UpdateCodeSigningConfig(json::object input) {
  const std::string arn(TextOf(input, "CodeSigningConfigArn"));
  const auto guard = co_await changing_.Lock("code-signing");
  if (!code_signing_.contains(arn)) co_return NoConfig(arn);
  auto config = code_signing_.at(arn);
  CO_TRY(ApplySigning(input, Now(), config));
  WriteBatch batch;
  batch.Put(CodeSigningKey(arn), Document(config));
  CO_TRY(co_await Write(std::move(batch)));
  code_signing_[arn] = config;
  co_return json::object{{"CodeSigningConfig", std::move(config)}};
}

LambdaRegistry::Answer LambdaRegistry::DeleteCodeSigningConfig(json::object input) {
  const std::string arn(TextOf(input, "CodeSigningConfigArn"));
  const auto guard = co_await changing_.Lock("code-signing");
  if (!code_signing_.contains(arn)) co_return NoConfig(arn);
  for (const auto& [name, function] : functions_) {
    if (function->code_signing_arn == arn) {
      co_return Conflict(
          fmt::format("The code signing configuration is in use by function {}.", name));
    }
  }
  WriteBatch batch;
  batch.Delete(CodeSigningKey(arn));
  CO_TRY(co_await Write(std::move(batch)));
  code_signing_.erase(arn);
  co_return json::object();
}

LambdaRegistry::Answer LambdaRegistry::ListCodeSigningConfigs(json::object input) {
  const std::vector<std::pair<std::string, json::object>> items(code_signing_.begin(),
                                                                code_signing_.end());
  const auto page = PageOf(items, input, kPage, [](const auto& item) { return item.first; });
  json::array configs;
  for (auto i = page.first; i < page.last; ++i) configs.push_back(items[i].second);
  json::object answer{{"CodeSigningConfigs", std::move(configs)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::PutFunctionCodeSigningConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const std::string arn(TextOf(input, "CodeSigningConfigArn"));
  CO_TRY(CheckCodeSigningArn(arn));
  // With the lock, so that the configuration is not deleted meanwhile.
  const auto guard = co_await changing_.Lock("code-signing");
  const auto edit = [this, arn](FunctionRecord& function) -> Result<json::object> {
    TRY(CheckCodeSigningArn(arn));
    function.code_signing_arn = arn;
    return json::object{{"CodeSigningConfigArn", arn}, {"FunctionName", function.name}};
  };
  co_return co_await Change(target.name, MissingFunction(target.name), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetFunctionCodeSigningConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(MissingFunction(target.name));
  if (function->code_signing_arn.empty()) co_return json::object();
  co_return json::object{{"CodeSigningConfigArn", function->code_signing_arn},
                         {"FunctionName", function->name}};
}

LambdaRegistry::Answer LambdaRegistry::DeleteFunctionCodeSigningConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto edit = [](FunctionRecord& function) -> Result<json::object> {
    function.code_signing_arn.clear();
    return json::object();
  };
  co_return co_await Change(target.name, MissingFunction(target.name), edit);
}

LambdaRegistry::Answer LambdaRegistry::ListFunctionsByCodeSigningConfig(json::object input) {
  const std::string arn(TextOf(input, "CodeSigningConfigArn"));
  if (!code_signing_.contains(arn)) co_return NoConfig(arn);
  std::vector<std::string> items;
  for (const auto& name : names_) {
    if (Find(name)->code_signing_arn == arn) items.push_back(name);
  }
  const auto page = PageOf(items, input, kPage, [](const auto& item) { return item; });
  json::array arns;
  for (auto i = page.first; i < page.last; ++i) arns.emplace_back(FunctionArn(options_, items[i]));
  json::object answer{{"FunctionArns", std::move(arns)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

}  // namespace samovar
