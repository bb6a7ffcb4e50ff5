#include "main/plan_image.h"

#include <algorithm>
#include <filesystem>

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

std::string NameOf(const ImageService& service) {
  return service.name.empty() ? NameFrom(service.image) : service.name;
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

void AddImageOptions(CLI::App* command, ImageService& service) {
  command->add_option(
      "--image", service.image,
      "A container image: a file (see samovar image import), or one that is imported");
  command
      ->add_option("--http", service.port,
                   "The image's program listens for HTTP on this port; it gets a function URL")
      ->check(CLI::Range(1, 65535))
      ->needs("--image");
  command->add_flag("--public", service.open, "With --http: the URL needs no signature")
      ->needs("--http");
  command->add_flag("--always-on", service.always_on, "With --image: one instance never ends")
      ->needs("--image");
}

Result<Plan> PlanImageService(const ImageService& service) {
  FunctionPlan function;
  function.name = NameOf(service);
  if (function.name.empty()) {
    return Fail(Code::kInvalid, "--name: which name the function of " + service.image + " has");
  }
  function.logical_id = function.name;
  function.code.kind = CodeSource::Kind::kImage;
  function.code.path = service.image;
  function.partial = true;
  function.configuration["Role"] = "arn:aws:iam::" + service.account_id + ":role/samovar";
  const bool fresh = service.port > 0 && !service.there;
  if (service.memory > 0 || fresh) {
    function.configuration["MemorySize"] = service.memory > 0 ? service.memory : kServiceMemory;
  }
  if (service.timeout > 0 || fresh) {
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
                           .invoke_mode = "RESPONSE_STREAM",
                           .cors = {},
                           .qualifier = qualifier};
    if (service.open) function.permissions.push_back(Open(qualifier));
  }
  Plan plan;
  plan.functions.push_back(std::move(function));
  return plan;
}

Result<Plan> FromImage(const Session& session, const ApiClient& client, ImageService service,
                       const std::function<bool(const std::string& name)>& exists) {
  std::error_code error;
  if (!service.dry_run && std::filesystem::exists(service.image, error)) {
    const ImageImport import{.source = service.image, .name = {}, .tag = {}, .insecure = false};
    TRY(const ImportedImage imported, ImportImage(client, session.err, session.clock, import));
    service.image = imported.name;
  }
  service.there = exists(NameOf(service));
  return PlanImageService(service);
}

}  // namespace samovar
