// One function: its configuration and code (Deployer, declared in deploy.h).
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <thread>

#include "base/encoding.h"
#include "main/deploy.h"

namespace samovar {

namespace {

constexpr auto kReadyWithin =
    std::chrono::minutes(15);  // a package of many GB is unpacked meanwhile

bool IsImage(const FunctionPlan& function) {
  return function.code.kind == CodeSource::Kind::kImage;
}

boost::json::object CodeOf(const FunctionPlan& function, const BuiltPackage& package) {
  if (IsImage(function)) return {{"ImageUri", function.code.path}};
  return {{"S3Bucket", "samovar-uploads"}, {"S3Key", package.sha256}};
}

std::string Short(const boost::json::value& value) {
  std::string text =
      value.is_string() ? std::string(value.as_string()) : boost::json::serialize(value);
  return text.size() > 24 ? text.substr(0, 23) + "…" : text;
}

std::string Describe(const boost::json::object& changes, const boost::json::object& before) {
  std::string out;
  for (const auto& field : changes) {
    if (!out.empty()) out += ", ";
    out += std::string(field.key());
    // Environments hold secrets; nested values are long.
    const boost::json::value* old = before.if_contains(field.key());
    if (field.value().is_object() || field.value().is_array() || old == nullptr) continue;
    out += fmt::format(" {} -> {}", Short(*old), Short(field.value()));
  }
  return out;
}

std::string Joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + ", " + b;
}

}  // namespace

Result<void> Deployer::DeployFunction(const FunctionPlan& planned) {
  FunctionPlan function = planned;
  function.configuration =
      FillPlaceholdersIn(boost::json::value(planned.configuration), known_).as_object();
  BuildOrder order{.id = function.logical_id,
                   .code = function.code,
                   .runtime = JsonText(function.configuration, "Runtime"),
                   .handler = JsonText(function.configuration, "Handler"),
                   .layer = false};
  TRY(BuiltPackage package, IsImage(function) ? FindImage(function.code.path) : Build(order));
  TRY(std::optional<boost::json::value> current, client_.JsonIfThere(FunctionPath(function.name)));
  if (current) {
    TRY(Update(function, package, *current));
    TRY(DeployTags(function, *current));
  } else {
    TRY(Create(function, package));
  }
  TRY(DeployConcurrency(function, current ? *current : boost::json::value()));
  TRY(DeployVersion(function));
  TRY(DeployUrl(function));
  TRY(DeployPermissions(function));
  return DeployEventInvoke(function);
}

Result<BuiltPackage> Deployer::FindImage(const std::string& name) {
  TRY(const boost::json::value image,
      client_.Json("GET", "/samovar/v1/images?name=" + PercentEncode(name)));
  BuiltPackage package;
  package.sha256 = JsonText(image, "digest").substr(std::string_view("sha256:").size());
  package.note = name;
  return package;
}

Result<void> Deployer::Create(const FunctionPlan& function, const BuiltPackage& package) {
  boost::json::object request = function.configuration;
  request["FunctionName"] = function.name;
  request["Code"] = CodeOf(function, package);
  if (IsImage(function)) request["PackageType"] = "Image";
  if (!function.tags.empty()) {
    boost::json::object tags;
    for (const auto& [key, value] : function.tags) tags[key] = value;
    request["Tags"] = std::move(tags);
  }
  TRY(boost::json::value made, client_.Json("POST", "/2015-03-31/functions", request));
  TRY(WaitUntilReady(function.name));
  TRY(TakeWarnings(function.name));
  Note("function", function.name, "created",
       Joined(JsonText(function.configuration, "Runtime"), package.note));
  return {};
}

Result<void> Deployer::Update(const FunctionPlan& function, const BuiltPackage& package,
                              const boost::json::value& current) {
  const boost::json::value& now = JsonMember(current, "Configuration");
  const boost::json::object changes =
      ConfigurationChanges(function.configuration, now, function.partial);
  const boost::json::object before = ConfigurationAsItIs(changes, now);
  const std::string sha256 =
      IsImage(function) ? package.sha256 : Base64Encode(HexDecode(package.sha256).value_or(""));
  const bool new_code = JsonText(now, "CodeSha256") != sha256;
  TRY(WaitUntilReady(function.name));
  if (!changes.empty()) {
    TRY(boost::json::value done,
        client_.Json("PUT", FunctionPath(function.name, "/configuration"), changes));
    TRY(WaitUntilReady(function.name));
  }
  if (new_code) {
    boost::json::object request = CodeOf(function, package);
    if (const auto* architectures = function.configuration.if_contains("Architectures")) {
      request["Architectures"] = *architectures;
    }
    auto done = client_.Json("PUT", FunctionPath(function.name, "/code"), request);
    if (done) {
      auto ready = WaitUntilReady(function.name);
      if (!ready) done = std::unexpected(ready.error());
    }
    if (!done) {
      Error error = done.error();
      if (!before.empty()) {
        const auto back =
            client_.Json("PUT", FunctionPath(function.name, "/configuration"), before);
        error.message +=
            back ? "\nits configuration is back as it was"
                 : "\nits new configuration could not be taken back: " + back.error().message;
      }
      return std::unexpected(std::move(error));
    }
  }
  const bool changed = new_code || !changes.empty();
  if (changed) TRY(TakeWarnings(function.name));
  const std::string what = Joined(new_code ? "code" : "", Describe(changes, before));
  Note("function", function.name, changed ? "updated" : "unchanged", Joined(what, package.note));
  return {};
}

Result<void> Deployer::TakeWarnings(const std::string& name) {
  TRY(const auto answer, client_.JsonIfThere("/samovar/v1/warnings/" + name));
  if (!answer) return {};
  const boost::json::value& list = JsonMember(*answer, "warnings");
  if (!list.is_array()) return {};
  for (const auto& warning : list.as_array()) {
    if (warning.is_string()) {
      warnings_.push_back(fmt::format("{}: {}", name, std::string_view(warning.as_string())));
    }
  }
  return {};
}

Result<void> Deployer::WaitUntilReady(const std::string& name) {
  const Deadline deadline = Deadline::After(context_.clock, kReadyWithin);
  auto pause = std::chrono::milliseconds(20);
  for (;;) {
    TRY(boost::json::value now, client_.Json("GET", FunctionPath(name, "/configuration")));
    const std::string state = JsonText(now, "State");
    const std::string update = JsonText(now, "LastUpdateStatus");
    if (state == "Failed" || update == "Failed") {
      const bool created = state == "Failed";
      return Fail(
          Code::kInvalid,
          fmt::format("{} is {}: {}", name, created ? "Failed" : "as it was; the update failed",
                      JsonText(now, created ? "StateReason" : "LastUpdateStatusReason")));
    }
    if (state != "Pending" && update != "InProgress") return {};
    if (deadline.Passed(context_.clock.Now())) {
      return Fail(Code::kTimeout, fmt::format("{} is still {} after 15 minutes", name, state));
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(500));
  }
}

}  // namespace samovar
