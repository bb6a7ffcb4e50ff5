#include "instances/runtime_api_worker.h"

#include <fmt/format.h>

#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "wire/runtime_api.h"

namespace samovar {
namespace {

// /next and a streamed response last as long as they must; the owner's deadlines end them.
constexpr HttpServerOptions kOptions{.max_connections = 64,
                                     .idle_timeout = std::chrono::hours(24 * 365),
                                     .head_timeout = std::chrono::seconds(60),
                                     .exchange_timeout = std::chrono::hours(24 * 365)};

HttpResponse Plain(unsigned status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.headers.Set("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

HttpResponse Accepted() { return Plain(202, std::string(kRuntimeAccepted)); }

HttpResponse WrongState() {
  return Plain(403, RuntimeErrorBody("InvalidStateTransition", "State transition is not allowed"));
}

HttpResponse TooLarge(Bytes bound) {
  return Plain(413,
               RuntimeErrorBody(
                   "RequestEntityTooLarge",
                   fmt::format("Exceeded maximum allowed payload size ({} bytes).", bound.count)));
}

HttpResponse BrokenBody() {
  return Plain(400, RuntimeErrorBody("InvalidRequest", "The body could not be read"));
}

}  // namespace

RuntimeApiWorker::RuntimeApiWorker(Executor loop, const Clock& clock, Fd listener,
                                   Bytes max_response)
    : clock_(clock),
      max_response_(max_response),
      offered_(loop),
      settled_(loop),
      server_(loop, clock, kOptions,
              [this](HttpRequest request) { return Handle(std::move(request)); }) {
  if (!listener) return;  // a test calls Handle itself
  auto adopted = server_.Adopt(listener.Release());
  if (!adopted) LogError("the Runtime API's listener: {}", adopted.error().message);
}

Task<WorkerReply> RuntimeApiWorker::Init() {
  while (state_ == State::kStarting && !reply_) co_await settled_.Wait();
  if (reply_) co_return *std::exchange(reply_, std::nullopt);
  if (state_ == State::kClosed) {
    co_return WorkerReply{.detail = "closed during initialisation", .usable = false};
  }
  co_return WorkerReply{.ending = Ending::kAnswered};
}

Task<WorkerReply> RuntimeApiWorker::Invoke(Invocation& invocation, WallTime deadline,
                                           ResponseSink* sink) {
  if (state_ == State::kClosed) {
    co_return WorkerReply{.ending = Ending::kNotBegun, .usable = false};
  }
  state_ = State::kOffered;
  invocation_ = &invocation;
  deadline_ = deadline;
  sink_ = sink;
  request_id_ = invocation.request_id;
  reply_.reset();
  offered_.Notify();
  while (!reply_ && state_ != State::kClosed) co_await settled_.Wait();
  bool begun = std::exchange(invocation_, nullptr) == nullptr;
  sink_ = nullptr;
  if (reply_) co_return *std::exchange(reply_, std::nullopt);
  co_return WorkerReply{.ending = begun ? Ending::kGone : Ending::kNotBegun,
                        .detail = "the runtime ended",
                        .usable = false};
}

void RuntimeApiWorker::Close() {
  state_ = State::kClosed;
  offered_.Notify();
  settled_.Notify();
}

Task<void> RuntimeApiWorker::Stop() {
  Close();
  // The process is dead or dying: what it held open ends by itself, or is cut.
  co_await server_.Stop(Deadline::After(clock_, std::chrono::seconds(1)));
}

Task<HttpResponse> RuntimeApiWorker::Handle(HttpRequest request) {
  RuntimeRoute route = MatchRuntimeRoute(request.method, request.Path());
  std::string request_id(route.request_id);
  switch (route.call) {
    case RuntimeCall::kNext:
      co_return co_await Next();
    case RuntimeCall::kResponse:
      co_return co_await Response(request, std::move(request_id));
    case RuntimeCall::kError:
      co_return co_await FunctionError(request, std::move(request_id));
    case RuntimeCall::kInitError:
      co_return co_await InitError(request);
    case RuntimeCall::kRestoreNext:
    case RuntimeCall::kRestoreError:
      co_return WrongState();  // only where an instance was restored from a snapshot
    case RuntimeCall::kWrongMethod:
      co_return Plain(405, RuntimeErrorBody("MethodNotAllowed", "Method not allowed"));
    case RuntimeCall::kUnknown:
      break;
  }
  co_return Plain(404, RuntimeErrorBody("NotFound", "There is no such call in the Runtime API"));
}

Task<HttpResponse> RuntimeApiWorker::Next() {
  if (state_ == State::kRunning || state_ == State::kAnswering) co_return WrongState();
  if (state_ == State::kStarting) {
    state_ = State::kIdle;
    settled_.Notify();
  }
  std::uint64_t number = ++next_number_;
  offered_.Notify();
  while (state_ != State::kOffered && state_ != State::kClosed && number == next_number_) {
    co_await offered_.Wait();
  }
  if (number != next_number_) co_return WrongState();
  if (state_ == State::kClosed) {
    co_return Plain(500, RuntimeErrorBody("ServiceException", "The instance is ending"));
  }
  state_ = State::kRunning;
  co_return EventResponse();
}

HttpResponse RuntimeApiWorker::EventResponse() {
  Invocation& call = *std::exchange(invocation_, nullptr);
  HttpResponse response;
  Headers& headers = response.headers;
  auto ms = std::chrono::floor<std::chrono::milliseconds>(deadline_.time_since_epoch()).count();
  headers.Add("Content-Type", "application/json");
  headers.Add(runtime_header::kRequestId, call.request_id);
  headers.Add(runtime_header::kDeadlineMs, std::to_string(ms));
  headers.Add(runtime_header::kInvokedArn, call.invoked_arn);
  auto add = [&](std::string_view name, const std::string& value) {
    // A line break in outside text would be a header of its own.
    bool clean = value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
    if (!value.empty() && clean) headers.Add(name, value);
  };
  add(runtime_header::kTraceId, call.trace_id);
  add(runtime_header::kClientContext, call.client_context);
  add(runtime_header::kCognitoIdentity, call.cognito_identity);
  response.body = std::move(call.payload);
  call.room = nullptr;
  return response;
}

// The answer to a response or error that does not belong to the event under way.
std::optional<HttpResponse> RuntimeApiWorker::Refuse(std::string_view request_id) const {
  if (request_id != request_id_) {
    return Plain(400, RuntimeErrorBody("InvalidRequestID", "Invalid request ID"));
  }
  if (state_ != State::kRunning) return WrongState();
  return std::nullopt;
}

// Another exchange, or the owner, may have ended the call while this one waited for bytes.
bool RuntimeApiWorker::StillRuns(const std::string& request_id) const {
  return state_ == State::kAnswering && request_id == request_id_;
}

void RuntimeApiWorker::Settle(WorkerReply reply) {
  state_ = State::kIdle;
  reply_ = std::move(reply);
  settled_.Notify();
}

Task<HttpResponse> RuntimeApiWorker::Response(HttpRequest& request, std::string request_id) {
  if (auto refused = Refuse(request_id)) co_return std::move(*refused);
  std::string_view mode = request.headers.Get(runtime_header::kResponseMode);
  if (!mode.empty() && mode != "streaming" && mode != "buffered") {
    co_return Plain(
        400, RuntimeErrorBody("InvalidFunctionResponseMode", "Invalid function response mode"));
  }
  state_ = State::kAnswering;
  if (mode == "streaming") co_return co_await Streamed(request, std::move(request_id));
  co_return co_await Buffered(request, std::move(request_id));
}

Task<HttpResponse> RuntimeApiWorker::Buffered(HttpRequest& request, std::string request_id) {
  std::string content_type(request.headers.Get("Content-Type"));
  auto body = co_await request.body->ReadAll(max_response_);
  if (!StillRuns(request_id)) co_return WrongState();
  if (!body && body.error().code == Code::kTooLarge) {
    Settle(TooLargeReply(max_response_));
    co_return TooLarge(max_response_);
  }
  if (!body) {
    state_ = State::kRunning;  // the runtime may answer once more
    co_return BrokenBody();
  }
  AnswerStream stream(sink_, max_response_);
  co_await stream.Begin(std::move(content_type));
  co_await stream.Chunk(std::move(*body));
  if (!StillRuns(request_id)) co_return WrongState();
  Settle(stream.End());
  co_return Accepted();
}

Task<HttpResponse> RuntimeApiWorker::Streamed(HttpRequest& request, std::string request_id) {
  AnswerStream stream(sink_, max_response_);
  co_await stream.Begin(std::string(request.headers.Get("Content-Type")));
  while (StillRuns(request_id)) {
    auto piece = co_await request.body->ReadSome();
    if (!StillRuns(request_id)) break;
    if (!piece) {
      Settle(
          stream.Fail("Runtime.TruncatedResponse",
                      PlatformErrorJson("Runtime.TruncatedResponse", "The response was cut off")));
      co_return BrokenBody();
    }
    if (!*piece) {
      const Headers& trailers = request.body->Trailers();
      std::string error_type(trailers.Get(runtime_header::kErrorType));
      std::string error_body(trailers.Get(runtime_header::kErrorBody));
      if (error_type.empty()) {
        Settle(stream.End());
      } else {
        Settle(stream.Fail(error_type, Base64Decode(error_body).value_or(error_body)));
      }
      co_return Accepted();
    }
    co_await stream.Chunk(std::move(**piece));
  }
  co_return WrongState();
}

Task<HttpResponse> RuntimeApiWorker::FunctionError(HttpRequest& request, std::string request_id) {
  if (auto refused = Refuse(request_id)) co_return std::move(*refused);
  state_ = State::kAnswering;
  std::string error_type(request.headers.Get(runtime_header::kErrorType));
  auto body = co_await request.body->ReadAll(max_response_);
  if (!StillRuns(request_id)) co_return WrongState();
  if (!body && body.error().code == Code::kTooLarge) {
    Settle(TooLargeReply(max_response_));
    co_return TooLarge(max_response_);
  }
  if (!body) {
    state_ = State::kRunning;
    co_return BrokenBody();
  }
  if (error_type.empty()) error_type = FunctionErrorType(*body, "Runtime.Unknown");
  Settle({.ending = Ending::kFailed, .payload = std::move(*body), .error_type = error_type});
  co_return Accepted();
}

Task<HttpResponse> RuntimeApiWorker::InitError(HttpRequest& request) {
  if (state_ != State::kStarting || init_error_comes_) co_return WrongState();
  init_error_comes_ = true;
  std::string error_type(request.headers.Get(runtime_header::kErrorType));
  auto body = co_await request.body->ReadAll(max_response_);
  init_error_comes_ = false;
  if (!body) co_return BrokenBody();
  if (state_ != State::kStarting || reply_) co_return WrongState();
  if (error_type.empty()) error_type = FunctionErrorType(*body, "Runtime.Unknown");
  reply_ = WorkerReply{.ending = Ending::kFailed,
                       .payload = std::move(*body),
                       .error_type = error_type,
                       .usable = false};
  settled_.Notify();
  co_return Accepted();
}

}  // namespace samovar
