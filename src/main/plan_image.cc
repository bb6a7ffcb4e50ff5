#include "main/plan_image.h"

#include <algorithm>

namespace samovar {

namespace {

constexpr const char* kAlias = "live";
constexpr int kServiceMemory = 512;
constexpr int kServiceTimeout = 30;

// "registry:5000/team/shop:1" -> "shop"
std::string NameFrom(std::string image) {
  image = image.substr(0, image.find('@'));
  const std::size_t last = image.rfind('/');
  if (last != std::string::npos) image = image.substr(last + 1);
  image = image.substr(0, image.find(':'));
  std::ranges::replace(image, '.', '-');
  return image;
}

// Everyone may call the URL.
PermissionPlan Open(const std::string& qualifier) {
  return {.statement_id = "public-url",
          .action = "lambda:InvokeFunctionUrl",
          .principal = "*",
          .url_auth_type = "NONE",
          .source_arn = {},
          .qualifier = qualifier};
}

}  // namespace

Result<Plan> PlanImageService(const ImageService& service) {
  FunctionPlan function;
  function.name = service.name.empty() ? NameFrom(service.image) : service.name;
  if (function.name.empty()) {
    return Fail(Code::kInvalid, "--name: which name the function of " + service.image + " has");
  }
  function.logical_id = function.name;
  function.code.kind = CodeSource::Kind::kImage;
  function.code.path = service.image;
  function.partial = true;
  function.configuration["Role"] = "arn:aws:iam::" + service.account_id + ":role/samovar";
  if (service.memory > 0 || service.port > 0) {
    function.configuration["MemorySize"] = service.memory > 0 ? service.memory : kServiceMemory;
  }
  if (service.timeout > 0 || service.port > 0) {
    function.configuration["Timeout"] = service.timeout > 0 ? service.timeout : kServiceTimeout;
  }
  std::string qualifier;
  if (service.always_on) {
    qualifier = kAlias;
    function.publish = true;
    function.aliases.push_back({.name = kAlias, .description = {}, .provisioned = 1});
  }
  if (service.port > 0) {
    function.tags["samovar:http"] = std::to_string(service.port);
    function.url = UrlPlan{.auth_type = service.open ? "NONE" : "AWS_IAM",
                           .invoke_mode = "BUFFERED",
                           .cors = {},
                           .qualifier = qualifier};
    if (service.open) function.permissions.push_back(Open(qualifier));
  }
  Plan plan;
  plan.functions.push_back(std::move(function));
  return plan;
}

}  // namespace samovar
