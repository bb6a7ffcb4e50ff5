#include "gateway/sagemaker_api.h"

#include <fmt/format.h>

#include "gateway/reply.h"
#include "gateway/stream_relay.h"
#include "wire/event_stream.h"
#include "wire/function_url.h"
#include "wire/invoke_request.h"

namespace samovar {
namespace {

constexpr std::string_view kVariantField = "x-Amzn-Invoked-Production-Variant";
constexpr std::string_view kAttributesField = "X-Amzn-SageMaker-Custom-Attributes";

HttpResponse FromReply(ErrorReply reply, std::string_view id) {
  return FromFields(reply.status, reply.headers, std::move(reply.body), id);
}

// The events of one streamed answer, as the server pulls them.
struct PartStream {
  std::shared_ptr<StreamReader> reader;
  std::optional<StreamItem> first;
  bool ended = false;
};

std::string PartEvents(std::string_view bytes) {
  std::string events;
  while (!bytes.empty()) {
    events += PayloadPartEvent(bytes.substr(0, kMaxEventPayload));
    bytes.remove_prefix(std::min(bytes.size(), kMaxEventPayload));
  }
  return events;
}

// What ends the stream: nothing after success.
std::optional<std::string> EndEvent(const Result<InvocationResult>& end) {
  if (!end) return StreamFailureEvent("InternalStreamFailure", end.error().message, "");
  if (end->function_error.empty()) return std::nullopt;
  auto failure = ReadFailure(*end);
  return StreamFailureEvent("ModelStreamError", failure.message, failure.type);
}

Task<Result<std::optional<std::string>>> NextParts(std::shared_ptr<PartStream> stream) {
  while (!stream->ended) {
    auto item = std::exchange(stream->first, std::nullopt);
    if (!item) item = co_await stream->reader->Take();
    if (!item) co_return Fail(Code::kUnavailable, "the invocation was broken off");
    if (item->kind == StreamItem::Kind::kChunk && !item->text.empty()) {
      co_return PartEvents(item->text);
    }
    if (item->kind == StreamItem::Kind::kEnd) {
      stream->ended = true;
      co_return EndEvent(*item->end);
    }
  }
  co_return std::optional<std::string>();
}

}  // namespace

bool SageMakerApi::Handles(const HttpRequest& request) {
  if (!SageMakerModel::OperationOf(request.headers.Get("X-Amz-Target")).empty()) return true;
  return ReadEndpointCall(request.method, request.Path(), request.headers.All()).has_value();
}

Task<HttpResponse> SageMakerApi::Handle(HttpRequest request, std::string id) {
  auto call = ReadEndpointCall(request.method, request.Path(), request.headers.All());
  if (!call) {
    auto answer = co_await Control(request, id);
    if (answer) co_return std::move(*answer);
    co_return FromReply(SageMakerErrorReply(answer.error(), id), id);
  }
  Result<HttpResponse> answer = std::unexpected(Error{Code::kInvalid, ""});
  if (*call) {
    answer = co_await Runtime(request, std::move(**call), id);
  } else {
    answer = std::unexpected(call->error());
  }
  if (answer) co_return std::move(*answer);
  co_return FromReply(EndpointErrorReply(answer.error(), id), id);
}

Task<Result<HttpResponse>> SageMakerApi::Control(HttpRequest& request, const std::string& id) {
  CO_TRY(auto signature, core_.access.Check(request));
  CO_TRY(auto body, co_await request.body->ReadAll(core_.parts.options.max_control_body));
  CO_TRY(FinishWithBody(signature, body));
  std::string operation(SageMakerModel::OperationOf(request.headers.Get("X-Amz-Target")));
  CO_TRY(auto input, model_.DecodeInput(operation, body));
  CO_TRY(auto output, co_await endpoints_.Execute(std::move(operation), std::move(input)));
  auto response = JsonReply(200, output, id);
  response.headers.Set("Content-Type", "application/x-amz-json-1.1");
  if (output.empty()) response.body.clear();
  co_return response;
}

Task<Result<HttpResponse>> SageMakerApi::Runtime(HttpRequest& request, EndpointCall call,
                                                 const std::string& id) {
  CO_TRY(auto signature, core_.access.Check(request));
  BodyRoom::Lease room;
  if (const auto needs = BodyRooms::Needs(*request.body, core_.parts.options.max_event)) {
    CO_TRY(room, co_await core_.events.Take(*needs));
  }
  CO_TRY(auto body, co_await request.body->ReadAll(core_.parts.options.max_event));
  CO_TRY(FinishWithBody(signature, body));
  bool json = IsJsonType(call.content_type);
  CO_TRY(auto prepared, co_await Prepare(request, std::move(call), std::move(body), id));
  prepared.invocation.room = std::move(room).Shared();
  if (json && !IsModel(*prepared.invocation.version)) {
    if (auto valid = CheckInvokePayload(prepared.invocation.payload); !valid) {
      co_return ModelFailed({"", valid.error().message, 400}, *prepared.invocation.version, id);
    }
  }
  if (prepared.call.streaming) co_return co_await CallStreaming(std::move(prepared));
  co_return co_await Call(std::move(prepared));
}

Task<Result<SageMakerApi::Prepared>> SageMakerApi::Prepare(HttpRequest& request, EndpointCall call,
                                                           std::string body,
                                                           const std::string& id) {
  CO_TRY(auto target, endpoints_.Pick(call.endpoint, call.target_variant));
  auto resolved = co_await core_.parts.registry.Resolve(target.function, target.qualifier);
  if (!resolved && resolved.error().code == Code::kNotFound) {
    if (target.function == call.endpoint) {
      co_return std::unexpected(endpoints_.MissingEndpoint(call.endpoint));
    }
    co_return Fail(Code::kNotFound,
                   fmt::format("Variant {} of endpoint {}: {}", target.variant, call.endpoint,
                               resolved.error().message),
                   "ValidationError");
  }
  if (!resolved) co_return std::unexpected(resolved.error());
  Prepared prepared{std::move(call), std::move(target.variant), false, {}};
  bool model = IsModel(*resolved->version);
  if (!model && !IsJsonType(prepared.call.content_type)) {
    body = EndpointEvent(prepared.call, prepared.variant, body, id);
    prepared.wrapped = true;
  }
  ModelRequest asked{.model = target.function,
                     .version = target.qualifier,
                     .request_id = id,
                     .trace_id = std::string(request.headers.Get("X-Amzn-Trace-Id")),
                     .deadline = request.deadline};
  prepared.invocation = door_.Prepare(asked, std::move(*resolved), std::move(body));
  if (model) {
    prepared.invocation.content_type = prepared.call.content_type;
    prepared.invocation.accept = prepared.call.accept;
  }
  co_return prepared;
}

HttpResponse SageMakerApi::ModelFailed(const FunctionFailure& failure, const Version& version,
                                       const std::string& id) const {
  auto& options = core_.parts.options;
  return FromReply(ModelErrorReply({failure.status, failure.message,
                                    fmt::format("arn:aws:logs:{}:{}:log-group:{}", options.region,
                                                options.account_id, version.log_group)},
                                   id),
                   id);
}

Task<Result<HttpResponse>> SageMakerApi::Call(Prepared prepared) {
  std::string id = prepared.invocation.request_id;
  auto version = prepared.invocation.version;
  CO_TRY(auto result, co_await core_.parts.invoker.Invoke(std::move(prepared.invocation), nullptr));
  if (!result.function_error.empty()) co_return ModelFailed(ReadFailure(result), *version, id);
  HttpResponse response;
  response.headers.Add(kRequestIdField, id);
  response.headers.Add(kVariantField, prepared.variant);
  std::string type = result.content_type.empty() ? std::string(kJsonType) : result.content_type;
  if (prepared.wrapped) {
    auto answer = DecodeUrlAnswer(result.payload);
    if (answer.status >= 400) {
      co_return ModelFailed({"", std::move(answer.body), answer.status}, *version, id);
    }
    if (auto* named = FindField(answer.headers, "Content-Type")) type = *named;
    if (auto* attributes = FindField(answer.headers, kAttributesField)) {
      response.headers.Add(kAttributesField, *attributes);
    }
    result.payload = std::move(answer.body);
  }
  response.headers.Add("Content-Type", type);
  response.body = std::move(result.payload);
  co_return response;
}

Task<Result<HttpResponse>> SageMakerApi::CallStreaming(Prepared prepared) {
  std::string id = prepared.invocation.request_id;
  auto version = prepared.invocation.version;
  prepared.invocation.streaming = true;
  auto stream = std::make_shared<PartStream>();
  stream->reader = InvokeStreaming(core_.streams, core_.parts.loop, core_.parts.invoker,
                                   std::move(prepared.invocation));
  // What fails before anything was streamed is a plain error.
  stream->first = co_await stream->reader->Take();
  if (!stream->first) co_return Fail(Code::kUnavailable, "the server is stopping");
  std::string type(kJsonType);
  if (stream->first->kind == StreamItem::Kind::kBegin) {
    if (!stream->first->text.empty()) type = stream->first->text;
  } else if (stream->first->end) {
    auto& end = *stream->first->end;
    if (!end) co_return std::unexpected(end.error());
    if (!end->function_error.empty()) co_return ModelFailed(ReadFailure(*end), *version, id);
  }
  HttpResponse response;
  response.headers.Add(kRequestIdField, id);
  response.headers.Add(kVariantField, prepared.variant);
  response.headers.Add("Content-Type", kEventStreamContentType);
  response.headers.Add("X-Amzn-SageMaker-Content-Type", type);
  response.stream = [stream = std::move(stream)] { return NextParts(stream); };
  co_return response;
}

}  // namespace samovar
