#include "gateway/invoke_api.h"

#include <fmt/format.h>

#include <array>

#include "base/encoding.h"
#include "gateway/reply.h"
#include "gateway/stream_relay.h"
#include "wire/aws_error.h"
#include "wire/event_stream.h"

namespace samovar {
namespace {

HttpResponse Reply(unsigned status, const Invocation& invocation) {
  HttpResponse response;
  response.status = status;
  response.headers.Add(kRequestIdField, invocation.request_id);
  response.headers.Add("X-Amzn-Trace-Id", invocation.trace_id);
  return response;
}

// Events of at most kMaxEventPayload each.
std::string ChunkEvents(std::string_view bytes) {
  std::string events;
  while (!bytes.empty()) {
    events += PayloadChunkEvent(bytes.substr(0, kMaxEventPayload));
    bytes.remove_prefix(std::min(bytes.size(), kMaxEventPayload));
  }
  return events;
}

std::string EndEvent(const Result<InvocationResult>& end) {
  if (!end) return ExceptionEvent(AwsErrorName(end.error()), end.error().message);
  std::string log = end->log_tail.empty() ? "" : Base64Encode(end->log_tail);
  if (end->function_error.empty()) return InvokeCompleteEvent("", "", log);
  return InvokeCompleteEvent(end->function_error, end->payload, log);
}

// The frames of one streamed invocation, as the server pulls them.
struct EventStream {
  std::shared_ptr<StreamReader> reader;
  std::optional<StreamItem> first;
  bool ended = false;
};

Task<Result<std::optional<std::string>>> NextFrames(std::shared_ptr<EventStream> stream) {
  while (!stream->ended) {
    auto item = std::exchange(stream->first, std::nullopt);
    if (!item) item = co_await stream->reader->Take();
    if (!item) co_return Fail(Code::kUnavailable, "the invocation was broken off");
    if (item->kind == StreamItem::Kind::kChunk && !item->text.empty()) {
      co_return ChunkEvents(item->text);
    }
    if (item->kind == StreamItem::Kind::kEnd) {
      stream->ended = true;
      co_return EndEvent(*item->end);
    }
  }
  co_return std::optional<std::string>();
}

Error TooLarge(std::size_t size, const InvokeRequest& asked, const GatewayOptions& options) {
  if (asked.type == InvocationType::kEvent && size > 0) {
    return {Code::kTooLarge,
            fmt::format("{} byte payload is too large for the Event invocation type "
                        "(limit {} bytes)",
                        size, options.max_async_event.count),
            "RequestEntityTooLargeException"};
  }
  return {Code::kTooLarge,
          fmt::format("Request must be smaller than {} bytes for the InvokeFunction operation",
                      options.max_event.count),
          "RequestTooLargeException"};
}

}  // namespace

std::string TraceOf(std::string_view sent, std::string_view request_id, WallTime now) {
  if (!sent.empty()) return std::string(sent);
  // A UUID has 32 random digits: 24 for the root, the first 16 again for the parent.
  std::array<char, 32> digits;
  digits.fill('0');
  std::size_t count = 0;
  for (char c : request_id) {
    if (c != '-' && count < digits.size()) digits[count++] = c;
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  std::array<char, 8> hex;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    hex[i] = "0123456789abcdef"[static_cast<std::uint64_t>(seconds) >> (28 - 4 * i) & 15];
  }
  std::string trace = "Root=1-";
  trace.reserve(80);
  trace.append(hex.data(), hex.size()).append("-").append(&digits[8], 24);
  return trace.append(";Parent=").append(digits.data(), 16).append(";Sampled=0");
}

bool InvokeApi::Handles(const LambdaOperation& operation) {
  return operation.name == "Invoke" || operation.name == "InvokeWithResponseStream" ||
         operation.name == "InvokeAsync";
}

Task<HttpResponse> InvokeApi::Handle(HttpRequest request, RouteMatch route, std::string id) {
  auto answer = co_await Answer(request, route, id);
  if (answer) co_return std::move(*answer);
  co_return LambdaError(answer.error(), id);
}

Task<Result<HttpResponse>> InvokeApi::Answer(HttpRequest& request, const RouteMatch& route,
                                             const std::string& id) {
  auto& parts = core_.parts;
  CO_TRY(auto signature, core_.access.Check(request));
  CO_TRY(auto asked,
         ReadInvokeRequest(core_.model, route, request.RawQuery(), request.headers.All()));
  Invocation invocation;
  BodyRoom::Lease room;
  if (const auto needs = BodyRooms::Needs(*request.body, parts.options.max_event)) {
    CO_TRY(room, co_await core_.events.Take(*needs));
  }
  CO_TRY(invocation.payload, co_await ReadEvent(request, asked));
  invocation.room = std::move(room).Shared();
  CO_TRY(FinishWithBody(signature, invocation.payload));
  CO_TRY(CheckInvokePayload(invocation.payload));
  if (invocation.payload.empty()) invocation.payload = "{}";  // as Lambda hands on no payload
  CO_TRY(auto resolved, co_await parts.registry.Resolve(std::move(asked.function_name),
                                                        std::move(asked.qualifier)));
  invocation.request_id = id;
  invocation.version = std::move(resolved.version);
  invocation.invoked_arn = std::move(resolved.invoked_arn);
  invocation.reserved_concurrency = resolved.reserved_concurrency;
  invocation.provisioned_concurrency = resolved.provisioned_concurrency;
  invocation.client_context = std::move(asked.client_context);
  invocation.trace_id = TraceOf(asked.trace_id, id, parts.clock.Wall());
  invocation.queue_deadline =
      Earlier(Deadline::After(parts.clock, parts.options.queue_wait), request.deadline);
  invocation.want_log_tail = asked.log_tail;
  if (asked.type == InvocationType::kDryRun) co_return Reply(204, invocation);
  if (asked.type == InvocationType::kEvent) {
    auto accepted = Reply(202, invocation);
    CO_TRY(co_await parts.enqueue(std::move(invocation)));
    co_return accepted;
  }
  if (route.operation->name == "InvokeWithResponseStream") {
    co_return co_await CallStreaming(std::move(invocation));
  }
  co_return co_await Call(std::move(invocation));
}

Task<Result<std::string>> InvokeApi::ReadEvent(HttpRequest& request, const InvokeRequest& asked) {
  auto& options = core_.parts.options;
  auto body = co_await request.body->ReadAll(options.max_event);
  if (!body && body.error().code == Code::kTooLarge) {
    auto announced = request.body->Announced().value_or(0);
    co_return std::unexpected(TooLarge(announced, asked, options));
  }
  if (body && asked.type == InvocationType::kEvent &&
      body->size() > options.max_async_event.count) {
    co_return std::unexpected(TooLarge(body->size(), asked, options));
  }
  co_return body;
}

Task<Result<HttpResponse>> InvokeApi::Call(Invocation invocation) {
  auto response = Reply(200, invocation);
  response.headers.Add("Content-Type", kJsonType);
  response.headers.Add("X-Amz-Executed-Version", invocation.version->number);
  bool want_log_tail = invocation.want_log_tail;
  CO_TRY(auto result, co_await core_.parts.invoker.Invoke(std::move(invocation), nullptr));
  if (!result.function_error.empty()) {
    response.headers.Add("X-Amz-Function-Error", result.function_error);
  }
  if (want_log_tail) response.headers.Add("X-Amz-Log-Result", Base64Encode(result.log_tail));
  response.body = std::move(result.payload);
  co_return response;
}

Task<Result<HttpResponse>> InvokeApi::CallStreaming(Invocation invocation) {
  auto response = Reply(200, invocation);
  response.headers.Add("Content-Type", kEventStreamContentType);
  response.headers.Add("X-Amz-Executed-Version", invocation.version->number);
  invocation.streaming = true;
  auto stream = std::make_shared<EventStream>();
  stream->reader =
      InvokeStreaming(core_.streams, core_.parts.loop, core_.parts.invoker, std::move(invocation));
  // A refusal (429 and so on) comes before anything was streamed: then it is a plain error.
  stream->first = co_await stream->reader->Take();
  if (!stream->first) co_return Fail(Code::kUnavailable, "the server is stopping");
  if (stream->first->end && !*stream->first->end) {
    co_return std::unexpected(stream->first->end->error());
  }
  response.stream = [stream = std::move(stream)] { return NextFrames(stream); };
  co_return response;
}

}  // namespace samovar
