#include "gateway/inference_api.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "gateway/reply.h"

namespace samovar {
namespace {

namespace json = boost::json;

using Action = InferenceAction;

HttpResponse Empty(std::string_view id) {
  HttpResponse response;
  response.headers.Add(kRequestIdField, id);
  return response;
}

ModelRequest RequestFor(const InferenceRoute& route, const HttpRequest& request,
                        const std::string& id) {
  return {.model = route.model,
          .version = route.version,
          .request_id = id,
          .trace_id = std::string(request.headers.Get("X-Amzn-Trace-Id")),
          .deadline = request.deadline};
}

// "ready" of {"ready": true}, the only member of an index request.
Result<bool> ReadyOnly(std::string_view body) {
  if (body.empty()) return false;
  boost::system::error_code error;
  auto asked = json::parse(json::string_view(body.data(), body.size()), error);
  if (error || !asked.is_object()) return Fail(Code::kInvalid, "the body is not a JSON object");
  auto* ready = asked.get_object().if_contains("ready");
  if (!ready) return false;
  if (!ready->is_bool()) return Fail(Code::kInvalid, "ready: expected true or false");
  return ready->get_bool();
}

// Triton's load takes a configuration or files along; code comes by deploying here.
Result<void> CheckLoad(std::string_view body) {
  if (body.empty()) return {};
  boost::system::error_code error;
  auto asked = json::parse(json::string_view(body.data(), body.size()), error);
  if (error || !asked.is_object()) return Fail(Code::kInvalid, "the body is not a JSON object");
  auto* parameters = asked.get_object().if_contains("parameters");
  if (!parameters || !parameters->is_object()) return {};
  for (auto& [key, value] : parameters->get_object()) {
    if (key == "unload_dependents") continue;
    return Fail(Code::kUnsupported,
                "parameters." + std::string(key) +
                    " is not served here; deploy the model with CreateFunction or samovar deploy");
  }
  return {};
}

}  // namespace

json::object InferenceServerMetadata(std::string_view version) {
  return {{"name", "samovar"},
          {"version", version},
          {"extensions", {"binary_tensor_data", "model_repository", "model_configuration"}}};
}

Task<HttpResponse> InferenceApi::Handle(HttpRequest request, Result<InferenceRoute> route,
                                        std::string id) {
  Answer answer = std::unexpected(Error{Code::kInvalid, ""});
  if (route) {
    answer = co_await Route(request, *route, id);
  } else {
    answer = std::unexpected(route.error());
  }
  if (answer) co_return std::move(*answer);
  auto reply = InferenceErrorReply(answer.error(), id);
  co_return FromFields(reply.status, reply.headers, std::move(reply.body), id);
}

Task<InferenceApi::Answer> InferenceApi::Route(HttpRequest& request, const InferenceRoute& route,
                                               const std::string& id) {
  // Whether it lives is no secret: probes have no keys.
  if (route.action == Action::kServerLive || route.action == Action::kServerReady) {
    co_return Empty(id);
  }
  CO_TRY(auto signature, core_.access.CheckKeyed(request));
  BodyRoom::Lease room;
  if (const auto needs = BodyRooms::Needs(*request.body, core_.parts.options.max_inference)) {
    CO_TRY(room, co_await core_.events.Take(*needs));
  }
  CO_TRY(auto body, co_await request.body->ReadAll(core_.parts.options.max_inference));
  CO_TRY(FinishWithBody(signature, body));
  switch (route.action) {
    case Action::kServerMetadata:
      co_return JsonReply(200, InferenceServerMetadata(core_.parts.options.version), id);
    case Action::kModelMetadata: {
      CO_TRY(auto metadata, co_await door_.Metadata(RequestFor(route, request, id)));
      co_return JsonReply(200, metadata, id);
    }
    case Action::kModelConfig: {
      CO_TRY(auto metadata, co_await door_.Metadata(RequestFor(route, request, id)));
      co_return JsonReply(200, ModelConfigOf(metadata), id);
    }
    case Action::kModelReady:
      CO_TRY(co_await door_.Ready(route.model, route.version));
      co_return Empty(id);
    case Action::kInfer:
      co_return co_await Infer(request, route, std::move(body), std::move(room).Shared(), id);
    case Action::kRepositoryIndex:
      co_return co_await Index(std::move(body), id);
    case Action::kRepositoryLoad:
      CO_TRY(CheckLoad(body));
      CO_TRY(co_await door_.Load(RequestFor(route, request, id)));
      co_return Empty(id);
    case Action::kRepositoryUnload:
      CO_TRY(co_await door_.Unload(route.model));
      co_return Empty(id);
    case Action::kServerLive:
    case Action::kServerReady:
      break;
  }
  co_return Empty(id);
}

Task<InferenceApi::Answer> InferenceApi::Infer(HttpRequest& request, const InferenceRoute& route,
                                               std::string body, std::shared_ptr<const void> room,
                                               const std::string& id) {
  CO_TRY(auto type, InferenceBodyType(request.headers.All(), body.size()));
  InferBody asked{std::move(type), std::move(body)};
  ModelRequest caller = RequestFor(route, request, id);
  caller.room = std::move(room);
  CO_TRY(auto answer, co_await door_.Infer(std::move(caller), std::move(asked)));
  HttpResponse response;
  response.headers.Add(kRequestIdField, id);
  if (auto header = BinaryHeaderLength(answer.content_type)) {
    response.headers.Add("Content-Type", "application/octet-stream");
    response.headers.Add(kInferenceHeaderLength, std::to_string(*header));
  } else {
    response.headers.Add("Content-Type", kJsonType);
  }
  response.body = std::move(answer.body);
  co_return response;
}

Task<InferenceApi::Answer> InferenceApi::Index(std::string body, const std::string& id) {
  CO_TRY(bool ready, ReadyOnly(body));
  CO_TRY(auto index, co_await door_.Index(ready));
  HttpResponse response = Empty(id);
  response.headers.Add("Content-Type", kJsonType);
  response.body = json::serialize(index);
  co_return response;
}

}  // namespace samovar
