#include "gateway/model_door.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "gateway/invoke_api.h"
#include "wire/open_inference.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kMetadataType = "application/vnd.samovar.model-metadata+json";

Error Unloaded(std::string_view model) {
  return {Code::kUnavailable, fmt::format("model '{}' is unloaded; load it first", model)};
}

// What a registry says of a function that is not there, in this protocol's words.
Error NoSuchModel(const Error& error, std::string_view model, std::string_view version) {
  if (error.code != Code::kNotFound) return error;
  if (version.empty()) return {Code::kNotFound, fmt::format("unknown model '{}'", model)};
  return {Code::kNotFound, fmt::format("unknown model '{}', version '{}'", model, version)};
}

std::string TextAt(const json::object& from, std::string_view key) {
  auto* value = from.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<InferBody> AsJson(const InferBody& binary) {
  constexpr Bytes kMost = Bytes::MiB(64);  // as of a request that is JSON
  TRY(auto message, DecodeInferBody(binary.content_type, binary.body));
  return EncodeJsonRequest(message, kMost);
}

constexpr std::string_view kReady = "READY";

// What the repository's index says of a version.
json::object IndexRow(const json::object& version, bool unloaded,
                      const ModelDoor::Failures& failures) {
  std::string name = TextAt(version, "FunctionName"), number = TextAt(version, "Version");
  std::string_view state = kReady;
  std::string reason;
  auto failed = failures.find({name, number});
  if (unloaded) {
    state = "UNAVAILABLE";
    reason = "unloaded";
  } else if (auto is = TextAt(version, "State"); is == "Pending") {
    state = "LOADING";
  } else if (is == "Failed") {
    state = "UNAVAILABLE";
    reason = TextAt(version, "StateReason");
  } else if (failed != failures.end()) {
    state = "UNAVAILABLE";
    reason = failed->second;
  }
  return {{"name", name}, {"version", number}, {"state", state}, {"reason", reason}};
}

}  // namespace

bool IsModel(const Version& version) { return version.runtime == kModelRuntime; }

FunctionFailure ReadFailure(const InvocationResult& result) {
  FunctionFailure failure{result.error_type, result.payload};
  boost::system::error_code error;
  json::value body = json::parse(result.payload, error);
  if (!error && body.is_object()) {
    if (auto text = TextAt(body.get_object(), "errorMessage"); !text.empty()) {
      failure.message = std::move(text);
    }
    if (failure.type.empty()) failure.type = TextAt(body.get_object(), "errorType");
  }
  if (failure.type == "Model.InvalidInput" || failure.type == "Model.UnsupportedMediaType") {
    failure.status = 400;
  }
  if (failure.type == "Sandbox.Timedout") failure.status = 0;
  return failure;
}

Task<Result<Resolved>> ModelDoor::Resolve(std::string model, std::string version) {
  auto resolved = co_await core_.parts.registry.Resolve(model, version);
  if (!resolved) co_return std::unexpected(NoSuchModel(resolved.error(), model, version));
  if (resolved->reserved_concurrency == 0) co_return std::unexpected(Unloaded(model));
  co_return resolved;
}

Invocation ModelDoor::Prepare(const ModelRequest& request, Resolved resolved,
                              std::string payload) const {
  auto& parts = core_.parts;
  Invocation invocation;
  invocation.request_id = request.request_id;
  invocation.version = std::move(resolved.version);
  invocation.invoked_arn = std::move(resolved.invoked_arn);
  invocation.reserved_concurrency = resolved.reserved_concurrency;
  invocation.provisioned_concurrency = resolved.provisioned_concurrency;
  invocation.payload = std::move(payload);
  invocation.trace_id = TraceOf(request.trace_id, request.request_id, parts.clock.Wall());
  invocation.queue_deadline =
      Earlier(Deadline::After(parts.clock, parts.options.queue_wait), request.deadline);
  return invocation;
}

// A function's own error becomes one of the caller or of the model.
Task<Result<InvocationResult>> ModelDoor::Ask(Invocation invocation) {
  CO_TRY(auto result, co_await core_.parts.invoker.Invoke(std::move(invocation), nullptr));
  if (result.function_error.empty()) co_return result;
  auto failure = ReadFailure(result);
  co_return Fail(failure.status == 400 ? Code::kInvalid
                 : failure.status == 0 ? Code::kTimeout
                                       : Code::kInternal,
                 std::move(failure.message));
}

Task<Result<std::shared_ptr<const void>>> ModelDoor::TakeRoom(std::uint64_t bytes) {
  CO_TRY(auto lease, co_await core_.events.Take(bytes));
  co_return std::move(lease).Shared();
}

Task<Result<InferBody>> ModelDoor::Infer(ModelRequest request, InferBody body) {
  CO_TRY(auto resolved, co_await Resolve(request.model, request.version));
  bool model = IsModel(*resolved.version);
  if (!model && BinaryHeaderLength(body.content_type)) {
    const bool quick = body.body.size() <= BodyRooms::kSmall;
    auto work = [binary = std::move(body)] { return AsJson(binary); };
    CO_TRY(body, quick ? work() : co_await RunBlocking(core_.parts.pool, std::move(work)));
  }
  auto invocation = Prepare(request, std::move(resolved), std::move(body.body));
  invocation.room = std::move(request.room);
  if (model) invocation.content_type = std::move(body.content_type);
  CO_TRY(auto result, co_await Ask(std::move(invocation)));
  co_return InferBody{model ? std::move(result.content_type) : "", std::move(result.payload)};
}

// As the registry lists them.
Task<json::array> ModelDoor::VersionsOf(std::string model) {
  json::array versions;
  json::object asked{{"FunctionName", model}};
  while (true) {
    json::object page_input = asked;
    auto page =
        co_await core_.parts.registry.Execute("ListVersionsByFunction", std::move(page_input));
    if (!page) co_return versions;
    for (auto& entry : page->at("Versions").as_array()) {
      versions.push_back(std::move(entry));
    }
    auto next = TextAt(*page, "NextMarker");
    if (next.empty()) co_return versions;
    asked["Marker"] = next;
  }
}

Task<Result<json::object>> ModelDoor::Metadata(ModelRequest request) {
  CO_TRY(auto resolved, co_await Resolve(request.model, request.version));
  json::object metadata{{"platform", resolved.version->runtime},
                        {"inputs", json::array()},
                        {"outputs", json::array()}};
  if (IsModel(*resolved.version)) {
    auto invocation = Prepare(request, std::move(resolved), "");
    invocation.content_type = kMetadataType;
    CO_TRY(auto result, co_await Ask(std::move(invocation)));
    boost::system::error_code error;
    auto parsed = json::parse(result.payload, error);
    if (error || !parsed.is_object()) {
      co_return Fail(Code::kInternal, "the model's metadata is no JSON object");
    }
    metadata = std::move(parsed.get_object());
  }
  metadata["name"] = request.model;
  json::array numbers;
  for (auto& version : co_await VersionsOf(request.model)) {
    numbers.push_back(std::move(version.at("Version")));
  }
  metadata["versions"] = std::move(numbers);
  co_return metadata;
}

ModelDoor::Failures ModelDoor::LoadFailures() const {
  Failures failures;
  if (!core_.parts.instances) return failures;
  for (auto& status : core_.parts.instances().templates) {
    if (status.failure.empty()) continue;
    failures[{std::move(status.function), std::move(status.version)}] = std::move(status.failure);
  }
  return failures;
}

Task<Result<void>> ModelDoor::Ready(std::string model, std::string version) {
  CO_TRY(auto resolved, co_await Resolve(model, std::move(version)));
  auto failures = LoadFailures();
  auto failed = failures.find({resolved.version->function, resolved.version->number});
  if (failed == failures.end()) co_return Result<void>();
  co_return Fail(Code::kUnavailable,
                 fmt::format("model '{}' failed to load: {}", model, failed->second));
}

Task<Result<void>> ModelDoor::WarmUp(ModelRequest request) {
  CO_TRY(auto resolved, co_await Resolve(request.model, request.version));
  if (!IsModel(*resolved.version)) co_return Result<void>();
  auto invocation = Prepare(request, std::move(resolved), "");
  invocation.content_type = kMetadataType;
  CO_TRY(co_await Ask(std::move(invocation)));
  co_return Result<void>();
}

Task<Result<json::array>> ModelDoor::Index(bool ready_only) {
  json::array index;
  const auto failures = LoadFailures();
  for (const auto& name : core_.parts.registry.Names()) {
    auto known = co_await DescribeFunction(name);
    if (!known) continue;  // deleted meanwhile
    if (TextAt(known->at("Configuration").as_object(), "Runtime") != kModelRuntime) continue;
    auto* tags = known->if_contains("Tags");
    bool unloaded = tags && tags->is_object() && tags->get_object().contains(kUnloadedTag);
    for (auto& version : co_await VersionsOf(name)) {
      auto row = IndexRow(version.as_object(), unloaded, failures);
      if (!ready_only || TextAt(row, "state") == kReady) index.push_back(std::move(row));
    }
  }
  co_return index;
}

Task<Result<json::object>> ModelDoor::DescribeFunction(std::string model) {
  json::object asked{{"FunctionName", model}};
  auto known = co_await core_.parts.registry.Execute("GetFunction", std::move(asked));
  if (!known) co_return std::unexpected(NoSuchModel(known.error(), model, ""));
  co_return known;
}

Task<Result<void>> ModelDoor::Unload(std::string model) {
  auto& registry = core_.parts.registry;
  CO_TRY(auto known, co_await DescribeFunction(model));
  auto* tags = known.if_contains("Tags");
  if (tags && tags->as_object().contains(kUnloadedTag)) co_return Result<void>();
  std::string before;
  if (auto* reserved = known.if_contains("Concurrency")) {
    before = json::serialize(reserved->at("ReservedConcurrentExecutions"));
  }
  json::object tag{{"Resource", known.at("Configuration").at("FunctionArn")},
                   {"Tags", {{kUnloadedTag, before}}}};
  CO_TRY(co_await registry.Execute("TagResource", std::move(tag)));
  json::object none{{"FunctionName", model}, {"ReservedConcurrentExecutions", 0}};
  CO_TRY(co_await registry.Execute("PutFunctionConcurrency", std::move(none)));
  co_return Result<void>();
}

Task<Result<void>> ModelDoor::Load(ModelRequest request) {
  auto& registry = core_.parts.registry;
  CO_TRY(auto known, co_await DescribeFunction(request.model));
  auto* tags = known.if_contains("Tags");
  if (tags && tags->as_object().contains(kUnloadedTag)) {
    std::string before = TextAt(tags->as_object(), kUnloadedTag);
    json::object limit{{"FunctionName", request.model}};
    std::string operation = "DeleteFunctionConcurrency";
    if (!before.empty()) {
      limit["ReservedConcurrentExecutions"] = std::stoll("0" + before);
      operation = "PutFunctionConcurrency";
    }
    CO_TRY(co_await registry.Execute(operation, std::move(limit)));
    json::object untag{{"Resource", known.at("Configuration").at("FunctionArn")},
                       {"TagKeys", {kUnloadedTag}}};
    CO_TRY(co_await registry.Execute("UntagResource", std::move(untag)));
  }
  co_return co_await WarmUp(std::move(request));
}

}  // namespace samovar
