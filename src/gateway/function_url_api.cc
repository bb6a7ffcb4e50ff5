#include "gateway/function_url_api.h"

#include <fmt/format.h>

#include <boost/beast/core/string.hpp>
#include <boost/json/serialize.hpp>

#include "base/encoding.h"
#include "base/log.h"
#include "gateway/invoke_api.h"
#include "gateway/reply.h"
#include "gateway/url_stream.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kPathForm = "/function-url/";
constexpr std::string_view kHostMark = ".lambda-url.";

HttpResponse Message(unsigned status, std::string_view message, std::string_view id) {
  return JsonReply(status, json::object{{"Message", message}}, id);
}

HttpResponse FromAnswer(UrlAnswer answer, std::string_view id) {
  return FromFields(answer.status, answer.headers, std::move(answer.body), id);
}

// AWS's own refusal, with one more member that says what to do about it.
HttpResponse Forbidden(std::string_view hint, std::string_view id) {
  auto answer = UrlForbidden();
  boost::system::error_code error;
  json::value body = json::parse(answer.body, error);
  if (!error && body.is_object()) {
    body.get_object()["Hint"] = hint;
    answer.body = json::serialize(body);
  }
  return FromAnswer(std::move(answer), id);
}

bool IsWebSocket(const HttpRequest& request) {
  return boost::beast::iequals(request.headers.Get("Upgrade"), "websocket");
}

CorsPolicy PolicyOf(const FunctionUrl::Cors& cors) {
  return {cors.credentials,   cors.allow_headers,  cors.allow_methods,
          cors.allow_origins, cors.expose_headers, cors.max_age};
}

// "10.0.0.1" of "10.0.0.1:4312", "::1" of "[::1]:4312".
std::string_view AddressOf(std::string_view peer) {
  auto colon = peer.rfind(':');
  auto address = peer.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  return address;
}

}  // namespace

std::optional<UrlTarget> FunctionUrlApi::Match(const HttpRequest& request) {
  auto host = request.headers.Get("Host");
  if (auto mark = host.find(kHostMark); mark != host.npos && mark > 0) {
    std::string name = HostName(host);
    return UrlTarget{name.substr(0, name.find('.')), std::string(request.Path()), name};
  }
  auto path = request.Path();
  if (!path.starts_with(kPathForm)) return std::nullopt;
  path.remove_prefix(kPathForm.size());
  auto end = std::min(path.find('/'), path.size());
  UrlTarget target{std::string(path.substr(0, end)), std::string(path.substr(end)), HostName(host)};
  if (target.path.empty()) target.path = "/";
  return target;
}

Task<HttpResponse> FunctionUrlApi::Handle(HttpRequest request, UrlTarget target, std::string id) {
  auto url = core_.parts.registry.FindUrl(target.id);
  if (!url) co_return Message(404, "there is no function URL " + target.id, id);
  auto fields = FieldsView(request.headers.All());
  if (url->cors && IsPreflight(request.method, fields)) {
    co_return FromAnswer(PreflightAnswer(PolicyOf(*url->cors), fields), id);
  }
  if (IsWebSocket(request)) {
    co_return Message(501,
                      "function URLs pass no WebSockets on; server-sent events and other streamed "
                      "answers come through where the URL's InvokeMode is RESPONSE_STREAM",
                      id);
  }
  auto answer = co_await Answer(request, target, *url, id);
  HttpResponse response;
  if (answer) {
    response = std::move(*answer);
  } else if (answer.error().code == Code::kDenied) {
    response = Forbidden(answer.error().message, id);
  } else if (answer.error().code == Code::kTooLarge) {
    response = Message(413, answer.error().message, id);
  } else if (answer.error().code == Code::kNotFound || answer.error().code == Code::kInvalid ||
             answer.error().code == Code::kInternal) {
    LogWarn("function URL {} of {}: {}", target.id, url->function, answer.error().message);
    response = FromAnswer(UrlFailure(), id);
  } else {
    response = LambdaError(answer.error(), id);  // 429, 503: try again
  }
  if (url->cors) {
    Fields with(response.headers.All());
    ApplyCors(PolicyOf(*url->cors), request.headers.All(), with);
    Headers replaced;
    for (auto& [name, value] : with) replaced.Add(name, value);
    response.headers = std::move(replaced);
  }
  co_return response;
}

Result<PendingSignature> FunctionUrlApi::Authorize(const HttpRequest& request,
                                                   const FunctionUrl& url) {
  if (url.iam) {
    auto checked = core_.access.CheckSigned(request);
    if (checked) return checked;
    return Fail(Code::kDenied, "this URL has AuthType AWS_IAM: " + checked.error().message);
  }
  constexpr std::string_view kAction = "lambda:InvokeFunctionUrl";
  if (core_.parts.registry.PolicyAllowsAll(url.function, url.qualifier, kAction)) {
    return PendingSignature();
  }
  std::string qualifier = url.qualifier.empty() ? "" : " --qualifier " + url.qualifier;
  return Fail(Code::kDenied,
              fmt::format("this URL has AuthType NONE, and the function's resource policy lets "
                          "nobody call it; allow it with: aws lambda add-permission "
                          "--function-name {}{} --statement-id public --action {} --principal '*' "
                          "--function-url-auth-type NONE",
                          url.function, qualifier, kAction));
}

Task<Result<HttpResponse>> FunctionUrlApi::Answer(HttpRequest& request, const UrlTarget& target,
                                                  const FunctionUrl& url, const std::string& id) {
  auto& parts = core_.parts;
  CO_TRY(auto signature, Authorize(request, url));
  BodyRoom::Lease room;
  if (const auto needs = BodyRooms::Needs(*request.body, parts.options.max_event)) {
    CO_TRY(room, co_await core_.events.Take(*needs));
  }
  CO_TRY(auto body, co_await request.body->ReadAll(parts.options.max_event));
  if (auto signed_body = FinishWithBody(signature, body); !signed_body) {
    co_return Fail(Code::kDenied, signed_body.error().message);
  }
  CO_TRY(auto resolved, co_await parts.registry.Resolve(url.function, url.qualifier));
  UrlRequest event;
  event.method = request.method;
  event.path = target.path;
  event.raw_query = request.RawQuery();
  event.headers = request.headers.All();
  event.body = body;
  event.source_ip = AddressOf(request.peer);
  event.domain_name = target.domain_name;
  event.url_id = target.id;
  event.request_id = id;
  event.time = parts.clock.Wall();
  if (url.iam) {
    auto scope = ReadCredentialScope(request.headers.All(), request.RawQuery());
    std::string key = scope ? scope->access_key_id : "";
    event.caller =
        IamCaller{key, parts.options.account_id,
                  "arn:aws:iam::" + parts.options.account_id + ":root", parts.options.account_id};
  }
  Invocation invocation;
  invocation.request_id = id;
  invocation.version = std::move(resolved.version);
  invocation.invoked_arn = std::move(resolved.invoked_arn);
  invocation.reserved_concurrency = resolved.reserved_concurrency;
  invocation.provisioned_concurrency = resolved.provisioned_concurrency;
  invocation.payload = UrlEvent(event);
  body = {};  // it is in the event now
  invocation.room = std::move(room).Shared();
  invocation.trace_id = TraceOf(request.headers.Get("X-Amzn-Trace-Id"), id, event.time);
  invocation.queue_deadline =
      Earlier(Deadline::After(parts.clock, parts.options.queue_wait), request.deadline);
  if (url.streaming) co_return co_await CallStreaming(std::move(invocation));
  co_return co_await Call(std::move(invocation));
}

Task<Result<HttpResponse>> FunctionUrlApi::Call(Invocation invocation) {
  std::string id = invocation.request_id;
  std::string trace = invocation.trace_id;
  CO_TRY(auto result, co_await core_.parts.invoker.Invoke(std::move(invocation), nullptr));
  bool failed = !result.function_error.empty();
  auto response = FromAnswer(failed ? UrlFailure() : DecodeUrlAnswer(result.payload), id);
  response.headers.Add("X-Amzn-Trace-Id", trace);
  co_return response;
}

Task<Result<HttpResponse>> FunctionUrlApi::CallStreaming(Invocation invocation) {
  std::string id = invocation.request_id;
  std::string trace = invocation.trace_id;
  invocation.streaming = true;
  auto reader =
      InvokeStreaming(core_.streams, core_.parts.loop, core_.parts.invoker, std::move(invocation));
  CO_TRY(auto streamed, co_await ReadUrlStream(std::move(reader)));
  auto response = FromAnswer(std::move(streamed.head), id);
  response.stream = std::move(streamed.body);
  response.headers.Add("X-Amzn-Trace-Id", trace);
  co_return response;
}

}  // namespace samovar
