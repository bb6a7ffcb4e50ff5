#include "gateway/own_api.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "base/encoding.h"
#include "gateway/images_api.h"
#include "gateway/reply.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kRoot = "/samovar/v1/";
constexpr Bytes kSmallBody = Bytes::KiB(64);

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

double Milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// "logs/NAME" under "logs/": NAME, decoded; nullopt where the path is another.
std::optional<std::string> Under(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix) || path.size() == prefix.size()) return std::nullopt;
  path.remove_prefix(prefix.size());
  if (path.find('/') != path.npos) return std::nullopt;
  return PercentDecode(path);
}

std::unexpected<Error> NoSuchPath(const HttpRequest& request) {
  return Fail(Code::kNotFound,
              "there is no " + request.method + " " + std::string(request.Path()) +
                  " (docs/http-api.md lists the paths)",
              "NoSuchPath");
}

json::object UsageRow(const Account& account) {
  return {{"function", account.function},
          {"version", account.version},
          {"invocations", account.invocations},
          {"errors", account.errors},
          {"throttles", account.throttles},
          {"timeouts", account.timeouts},
          {"cold_starts", account.cold_starts},
          {"clones", account.clones},
          {"spares", account.spares},
          {"duration_ms", Milliseconds(account.duration)},
          {"billed_ms", account.billed.count()},
          {"gb_seconds", account.GbSeconds()},
          {"storage_gb_seconds", account.StorageGbSeconds()},
          {"max_memory_mb", account.max_memory.WholeMiB()},
          {"memory_mb", account.memory.WholeMiB()},
          {"init_ms", Milliseconds(account.init)}};
}

json::object InstanceRow(const InstanceStatus& instance) {
  return {{"id", instance.id},
          {"function", instance.function},
          {"version", instance.version},
          {"state", instance.state},
          {"kind", instance.kind},
          {"provisioned", instance.provisioned},
          {"memory_mb", instance.memory.WholeMiB()},
          {"age_seconds", Seconds(instance.age)},
          {"idle_seconds", Seconds(instance.idle)},
          {"invocations", instance.invocations}};
}

json::object TemplateRow(const TemplateStatus& status) {
  json::array obstacles;
  for (const auto& obstacle : status.obstacles) {
    obstacles.push_back(json::object{{"problem", obstacle.problem}, {"remedy", obstacle.remedy}});
  }
  return {{"function", status.function},
          {"version", status.version},
          {"stage", status.stage},
          {"reasons", std::move(obstacles)},
          {"memory_mb", status.memory.WholeMiB()},
          {"age_seconds", Seconds(status.age)},
          {"clones", status.clones},
          {"spares", status.spares},
          {"spares_wanted", status.spares_wanted},
          {"spare_memory_mb", status.spare_memory.WholeMiB()},
          {"failure", status.failure}};
}

}  // namespace

bool OwnApi::Handles(std::string_view path) {
  return path == "/metrics" || path.starts_with("/samovar/");
}

Task<HttpResponse> OwnApi::Handle(HttpRequest request, std::string id) {
  auto answer = co_await Route(request, id);
  if (answer) co_return std::move(*answer);
  co_return OwnError(answer.error(), id);
}

Task<OwnApi::Answer> OwnApi::Route(HttpRequest& request, const std::string& id) {
  auto path = request.Path();
  bool get = request.method == "GET" || request.method == "HEAD";
  if (get && path == "/samovar/v1/health") co_return Health(id);
  if (get && path == "/metrics" && core_.access.Loopback()) co_return Metrics(id);
  co_return co_await RouteSigned(request, id);
}

Task<OwnApi::Answer> OwnApi::RouteSigned(HttpRequest& request, const std::string& id) {
  CO_TRY(auto signature, core_.access.Check(request));
  auto path = request.Path();
  if (auto take = request.method == "PUT" ? TakerOf(path) : std::nullopt) {
    const auto bound = core_.parts.options.max_package;
    co_return co_await Receive(request, std::move(signature), bound, std::move(*take), id);
  }
  if (path.starts_with(kRoot) && ImagesApi::Handles(path.substr(kRoot.size()))) {
    co_return co_await images_.Handle(request, path.substr(kRoot.size()), std::move(signature), id);
  }
  CO_TRY(auto body, co_await ReadSmall(request, std::move(signature)));
  if (path == "/metrics" && request.method == "GET") co_return Metrics(id);
  if (!path.starts_with(kRoot)) co_return NoSuchPath(request);
  path.remove_prefix(kRoot.size());
  if (request.method == "GET") {
    if (path == "usage") co_return Usage(request, id);
    if (path == "instances") co_return Instances(id);
    if (path == "runtimes") co_return Runtimes(id);
    if (path == "keys") co_return ListKeys(id);
    if (path == "packages") co_return co_await ListPackages(id);
    if (path == "config") {
      auto& config = core_.parts.config;
      co_return JsonReply(200, config ? config() : json::object(), id);
    }
    if (auto name = Under(path, "logs/")) co_return co_await Logs(request, *name, id);
    if (auto name = Under(path, "locks/")) co_return co_await Lock(request, *name, id);
    if (auto name = Under(path, "warnings/")) co_return Warnings(request, *name, id);
    if (auto hash = Under(path, "packages/")) co_return co_await Package(*hash, id);
  }
  if (request.method == "HEAD") {
    if (auto hash = Under(path, "uploads/")) co_return co_await FindUpload(*hash, id);
  }
  if (request.method == "POST" && path == "packages/prune") co_return co_await PrunePackages(id);
  if (request.method == "POST" && path == "keys") co_return co_await CreateKey(body, id);
  if (request.method == "DELETE") {
    if (auto key = Under(path, "keys/")) co_return co_await DeleteKey(*key, id);
  }
  co_return NoSuchPath(request);
}

Task<Result<std::string>> OwnApi::ReadSmall(HttpRequest& request, PendingSignature signature) {
  CO_TRY(auto body, co_await request.body->ReadAll(kSmallBody));
  CO_TRY(FinishWithBody(signature, body));
  co_return body;
}

HttpResponse OwnApi::Health(const std::string& id) const {
  auto& parts = core_.parts;
  json::object body{{"status", "ok"},
                    {"version", parts.options.version},
                    {"isolation", parts.options.isolation},
                    {"takes_manifests", parts.options.isolation == "full"},
                    {"uptime_seconds", Seconds(parts.clock.Now() - core_.started)}};
  return JsonReply(200, body, id);
}

HttpResponse OwnApi::Metrics(const std::string& id) const {
  HttpResponse response;
  response.headers.Add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.headers.Add(kRequestIdField, id);
  response.body = core_.parts.metrics ? core_.parts.metrics() : core_.parts.books.MetricsText();
  return response;
}

HttpResponse OwnApi::Usage(const HttpRequest& request, const std::string& id) const {
  json::array rows;
  for (auto* account : core_.parts.books.List(request.Query("function").value_or(""))) {
    rows.push_back(UsageRow(*account));
  }
  auto since = IsoTimestamp(core_.parts.books.Since());
  return JsonReply(200, {{"since", since}, {"usage", std::move(rows)}}, id);
}

HttpResponse OwnApi::Instances(const std::string& id) const {
  InstanceReport report;
  if (core_.parts.instances) report = core_.parts.instances();
  json::array rows;
  for (auto& instance : report.instances) rows.push_back(InstanceRow(instance));
  json::array templates;
  for (auto& status : report.templates) templates.push_back(TemplateRow(status));
  return JsonReply(200,
                   {{"memory_budget_mb", report.memory_budget.WholeMiB()},
                    {"memory_used_mb", report.memory_used.WholeMiB()},
                    {"queued", report.queued},
                    {"instances", std::move(rows)},
                    {"templates", std::move(templates)}},
                   id);
}

HttpResponse OwnApi::Runtimes(const std::string& id) const {
  RuntimesReport report;
  if (core_.parts.runtimes) report = core_.parts.runtimes();
  json::array runtimes;
  for (auto& r : report.runtimes) {
    runtimes.push_back(json::object{{"name", r.name}, {"version", r.version}, {"path", r.path}});
  }
  json::array unusable;
  for (auto& u : report.unusable) {
    unusable.push_back(json::object{{"path", u.path}, {"reason", u.reason}});
  }
  return JsonReply(200, {{"runtimes", std::move(runtimes)}, {"unusable", std::move(unusable)}}, id);
}

HttpResponse OwnApi::Warnings(const HttpRequest& request, const std::string& function,
                              const std::string& id) const {
  json::array warnings;
  const std::string qualifier(request.Query("qualifier").value_or(""));
  for (auto& warning : core_.parts.registry.Warnings(function, qualifier)) {
    warnings.emplace_back(warning);
  }
  return JsonReply(200, {{"warnings", std::move(warnings)}}, id);
}

HttpResponse OwnApi::ListKeys(const std::string& id) const {
  json::array rows;
  for (auto& key : core_.parts.keys.List()) {
    rows.push_back(json::object{{"access_key_id", key.id},
                                {"created", IsoTimestamp(key.created)},
                                {"description", key.description}});
  }
  return JsonReply(200, {{"keys", std::move(rows)}}, id);
}

Task<OwnApi::Answer> OwnApi::CreateKey(std::string body, const std::string& id) {
  std::string description;
  if (!body.empty()) {
    boost::system::error_code error;
    json::value asked = json::parse(body, error);
    if (error || !asked.is_object()) {
      co_return Fail(Code::kInvalid, "the body is not a JSON object");
    }
    if (auto* text = asked.get_object().if_contains("description")) {
      if (!text->is_string() || text->get_string().size() > 256) {
        co_return Fail(Code::kInvalid, "description: expected a string of at most 256 bytes");
      }
      description = text->get_string();
    }
  }
  CO_TRY(auto key, co_await core_.parts.keys.Create(std::move(description)));
  json::object made{{"access_key_id", key.id}, {"secret_access_key", key.secret}};
  co_return JsonReply(200, made, id);
}

Task<OwnApi::Answer> OwnApi::DeleteKey(std::string key, const std::string& id) {
  auto& keys = core_.parts.keys;
  if (!core_.access.Loopback() && keys.Size() == 1 && keys.SecretOf(key)) {
    co_return Fail(Code::kConflict,
                   "this is the last key, and the server listens beyond loopback: without a key "
                   "nobody could call it; create another one first");
  }
  CO_TRY(co_await keys.Delete(std::move(key)));
  HttpResponse response;
  response.status = 204;
  response.headers.Add(kRequestIdField, id);
  co_return response;
}

}  // namespace samovar
