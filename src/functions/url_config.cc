// Function URLs.

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/ids.h"
#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kPage = 50;
constexpr int kIdLength = 32;

Error NoUrl() {
  return Error{Code::kNotFound, "The resource you requested does not exist.",
               "ResourceNotFoundException"};
}

Error NoFunction() {
  return Error{Code::kNotFound, "Function does not exist", "ResourceNotFoundException"};
}

void ApplyUrl(const json::object& input, std::string now, json::object& config) {
  for (const auto* key : {"AuthType", "InvokeMode"}) {
    if (Has(input, key)) config[key] = input.at(key);
  }
  if (const auto* cors = ObjectOf(input, "Cors")) {
    if (cors->empty()) {
      config.erase("Cors");
    } else {
      config["Cors"] = *cors;
    }
  }
  config["LastModifiedTime"] = std::move(now);
}

std::vector<std::string> Strings(const json::object& object, std::string_view key) {
  std::vector<std::string> list;
  if (const auto* items = ArrayOf(object, key)) {
    for (const auto& item : *items) {
      if (item.is_string()) list.emplace_back(item.get_string());
    }
  }
  return list;
}

FunctionUrl::Cors CorsOf(const json::object& cors) {
  FunctionUrl::Cors result;
  result.credentials = FlagOf(cors, "AllowCredentials");
  result.allow_headers = Strings(cors, "AllowHeaders");
  result.allow_methods = Strings(cors, "AllowMethods");
  result.allow_origins = Strings(cors, "AllowOrigins");
  result.expose_headers = Strings(cors, "ExposeHeaders");
  if (const auto age = IntOf(cors, "MaxAge")) result.max_age = static_cast<int>(*age);
  return result;
}

}  // namespace

// A URL belongs to the function ($LATEST) or to an alias, never to a version.
Result<LambdaRegistry::Target> LambdaRegistry::UrlTarget(const json::object& input) const {
  TRY(auto target, TargetOf(input));
  if (!target.qualifier.empty() && !IsAliasName(target.qualifier)) {
    return Validation(
        fmt::format("Value '{}' at 'qualifier' failed to satisfy constraint: Member "
                    "must satisfy regular expression pattern: "
                    "((?!^\\d+$)^[0-9a-zA-Z-_]+$)",
                    target.qualifier));
  }
  return target;
}

json::object LambdaRegistry::DescribeUrl(const FunctionRecord& function,
                                         const std::string& qualifier) const {
  const auto& url = function.urls.at(qualifier);
  auto answer = url.config;
  answer["FunctionArn"] = FunctionArn(options_, function.name, qualifier);
  answer["FunctionUrl"] =
      fmt::format("http://{}.lambda-url.{}.{}/", url.id, options_.region, options_.url_suffix);
  return answer;
}

LambdaRegistry::Answer LambdaRegistry::CreateFunctionUrlConfig(json::object input) {
  CO_TRY(const auto target, UrlTarget(input));
  const auto edit = [this, input, target](FunctionRecord& function) -> Result<json::object> {
    const auto& qualifier = target.qualifier;
    if (!qualifier.empty() && !function.aliases.contains(qualifier)) {
      return std::unexpected(NoFunction());
    }
    if (function.urls.contains(qualifier)) {
      return Conflict(fmt::format(
          "Failed to create function url config for [functionArn = {}]. Error message:  "
          "FunctionUrlConfig exists for this Lambda function",
          FunctionArn(options_, function.name, qualifier)));
    }
    const auto now = IsoTimestamp(clock_.Wall());
    UrlRecord url{RandomLowerAlnum(kIdLength),
                  {{"AuthType", "NONE"}, {"InvokeMode", "BUFFERED"}, {"CreationTime", now}}};
    ApplyUrl(input, now, url.config);
    function.urls[qualifier] = std::move(url);
    auto answer = DescribeUrl(function, qualifier);
    answer.erase("LastModifiedTime");
    return answer;
  };
  co_return co_await Change(target.name, NoFunction(), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetFunctionUrlConfig(json::object input) {
  CO_TRY(const auto target, UrlTarget(input));
  const auto function = Find(target.name);
  if (!function || !function->urls.contains(target.qualifier)) co_return std::unexpected(NoUrl());
  co_return DescribeUrl(*function, target.qualifier);
}

LambdaRegistry::Answer LambdaRegistry::UpdateFunctionUrlConfig(json::object input) {
  CO_TRY(const auto target, UrlTarget(input));
  const auto edit = [this, input, target](FunctionRecord& function) -> Result<json::object> {
    const auto url = function.urls.find(target.qualifier);
    if (url == function.urls.end()) return std::unexpected(NoUrl());
    ApplyUrl(input, IsoTimestamp(clock_.Wall()), url->second.config);
    return DescribeUrl(function, target.qualifier);
  };
  co_return co_await Change(target.name, NoUrl(), edit);
}

LambdaRegistry::Answer LambdaRegistry::DeleteFunctionUrlConfig(json::object input) {
  CO_TRY(const auto target, UrlTarget(input));
  const auto edit = [target](FunctionRecord& function) -> Result<json::object> {
    if (function.urls.erase(target.qualifier) == 0) return std::unexpected(NoUrl());
    return json::object();
  };
  co_return co_await Change(target.name, NoUrl(), edit);
}

LambdaRegistry::Answer LambdaRegistry::ListFunctionUrlConfigs(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(NoFunction());
  std::vector<std::pair<std::string, std::string>> items;  // marker, qualifier
  for (const auto& [qualifier, url] : function->urls)
    items.emplace_back("/" + qualifier, qualifier);
  const auto page = PageOf(items, input, kPage, [](const auto& item) { return item.first; });
  json::array urls;
  for (auto i = page.first; i < page.last; ++i) {
    urls.push_back(DescribeUrl(*function, items[i].second));
  }
  json::object answer{{"FunctionUrlConfigs", std::move(urls)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

std::optional<FunctionUrl> LambdaRegistry::FindUrl(const std::string& url_id) {
  const auto found = urls_.find(url_id);
  if (found == urls_.end()) return std::nullopt;
  const auto& [name, qualifier] = found->second;
  const auto& config = Find(name)->urls.at(qualifier).config;
  FunctionUrl url;
  url.function = name;
  url.qualifier = qualifier;
  url.iam = TextOf(config, "AuthType") == "AWS_IAM";
  url.streaming = TextOf(config, "InvokeMode") == "RESPONSE_STREAM";
  if (const auto* cors = ObjectOf(config, "Cors")) url.cors = CorsOf(*cors);
  return url;
}

}  // namespace samovar
