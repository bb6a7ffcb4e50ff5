#include "wire/endpoint_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/encoding.h"
#include "wire/event_stream.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxHeader = 1024;
constexpr std::size_t kMaxName = 63;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return lower;
}

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

std::unexpected<Error> Refused(std::string_view value, std::string_view member,
                               std::string_view constraint) {
  return Fail(Code::kInvalid,
              fmt::format("1 validation error detected: Value '{}' at '{}' failed to satisfy "
                          "constraint: {}",
                          value, member, constraint),
              "ValidationError");
}

Result<void> CheckCall(const EndpointCall& call) {
  // An endpoint that was never created may be a function, so its underscores pass too.
  for (auto [value, member] :
       {std::pair(&call.endpoint, "endpointName"), {&call.target_variant, "targetVariant"}}) {
    if (value->size() > kMaxName && value == &call.target_variant) {
      return Refused(*value, member, "Member must have length less than or equal to 63");
    }
    if (!std::ranges::all_of(*value, IsNameChar)) {
      return Refused(*value, member,
                     "Member must satisfy regular expression pattern: "
                     "^[a-zA-Z0-9](-*[a-zA-Z0-9])*");
    }
  }
  for (auto [value, member] : {std::pair(&call.content_type, "contentType"),
                               {&call.accept, "accept"},
                               {&call.custom_attributes, "customAttributes"}}) {
    if (value->size() > kMaxHeader) {
      return Refused(value->substr(0, 64) + "...", member,
                     "Member must have length less than or equal to 1024");
    }
  }
  if (call.inference_id.size() > 64) {
    return Refused(call.inference_id, "inferenceId",
                   "Member must have length less than or equal to 64");
  }
  return {};
}

// What would be accepted and then not done.
Result<void> CheckUnserved(FieldsView headers) {
  for (std::string_view name :
       {"X-Amzn-SageMaker-Target-Model", "X-Amzn-SageMaker-Target-Container-Hostname",
        "X-Amzn-SageMaker-Inference-Component", "X-Amzn-SageMaker-Session-Id",
        "X-Amzn-SageMaker-Enable-Explanations"}) {
    if (FieldOr(headers, name).empty()) continue;
    return Fail(Code::kInvalid, fmt::format("{} is not served here", name), "ValidationError");
  }
  return {};
}

}  // namespace

std::string MediaType(std::string_view content_type) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  while (type.starts_with(' ')) type.remove_prefix(1);
  return Lower(type);
}

bool IsJsonType(std::string_view content_type) {
  std::string type = MediaType(content_type);
  return type.empty() || type == "application/json" ||
         (type.starts_with("application/") && type.ends_with("+json"));
}

std::optional<Result<EndpointCall>> ReadEndpointCall(std::string_view method, std::string_view path,
                                                     FieldsView headers) {
  constexpr std::string_view kRoot = "/endpoints/";
  if (!path.starts_with(kRoot)) return std::nullopt;
  path.remove_prefix(kRoot.size());
  auto slash = path.find('/');
  if (slash == path.npos) return std::nullopt;
  auto what = path.substr(slash + 1);
  bool streaming = what == "invocations-response-stream";
  if (what == "async-invocations") {
    return Fail(Code::kUnsupported, "InvokeEndpointAsync is not served here", "ValidationError");
  }
  if (!streaming && what != "invocations") return std::nullopt;
  if (method != "POST") {
    return Fail(Code::kInvalid, fmt::format("{} is not allowed here; POST is", method),
                "MethodNotAllowedException");
  }
  auto name = PercentDecode(path.substr(0, slash));
  if (!name) return Fail(Code::kInvalid, "the endpoint's name is badly encoded", "ValidationError");
  EndpointCall call;
  call.endpoint = *name;
  call.streaming = streaming;
  call.content_type = FieldOr(headers, "Content-Type");
  call.accept = FieldOr(headers, streaming ? "X-Amzn-SageMaker-Accept" : "Accept");
  if (call.accept == "*/*") call.accept.clear();
  call.target_variant = FieldOr(headers, "X-Amzn-SageMaker-Target-Variant");
  call.custom_attributes = FieldOr(headers, "X-Amzn-SageMaker-Custom-Attributes");
  call.inference_id = FieldOr(headers, "X-Amzn-SageMaker-Inference-Id");
  if (auto checked = CheckCall(call); !checked) return std::unexpected(checked.error());
  if (auto served = CheckUnserved(headers); !served) return std::unexpected(served.error());
  return call;
}

std::string EndpointEvent(const EndpointCall& call, std::string_view variant, std::string_view body,
                          std::string_view request_id) {
  json::object headers{{"content-type", call.content_type}};
  if (!call.accept.empty()) headers["accept"] = call.accept;
  if (!call.custom_attributes.empty()) {
    headers["x-amzn-sagemaker-custom-attributes"] = call.custom_attributes;
  }
  if (!call.inference_id.empty()) headers["x-amzn-sagemaker-inference-id"] = call.inference_id;
  std::string path = "/endpoints/" + call.endpoint + "/invocations";
  json::object event{{"version", "2.0"},
                     {"rawPath", path},
                     {"rawQueryString", ""},
                     {"headers", std::move(headers)},
                     {"requestContext",
                      {{"requestId", request_id},
                       {"endpointName", call.endpoint},
                       {"variantName", variant},
                       {"http", {{"method", "POST"}, {"path", path}, {"protocol", "HTTP/1.1"}}}}},
                     {"body", Base64Encode(body)},
                     {"isBase64Encoded", true}};
  return json::serialize(event);
}

ErrorReply ModelErrorReply(const ModelFailure& failure, std::string_view request_id) {
  std::string_view side = failure.status >= 400 && failure.status < 500 ? "client" : "server";
  json::object body{
      {"Message", fmt::format("Received {} error ({}) from primary with message \"{}\"", side,
                              failure.status, failure.message)},
      {"OriginalStatusCode", failure.status},
      {"OriginalMessage", failure.message},
      {"LogStreamArn", failure.log_stream}};
  return {.status = 424,
          .headers = {{"Content-Type", "application/json"},
                      {"x-amzn-ErrorType", "ModelError"},
                      {"x-amzn-RequestId", std::string(request_id)}},
          .body = json::serialize(body)};
}

std::string_view EndpointErrorName(const Error& error) {
  switch (error.code) {
    case Code::kOverloaded:
    case Code::kUnavailable:
    case Code::kTimeout:
      return "ServiceUnavailable";
    case Code::kThrottled:
      return "ThrottlingException";
    case Code::kInternal:
      return "InternalFailure";
    case Code::kDenied:
      return AwsErrorName(error);
    default:
      return "ValidationError";
  }
}

ErrorReply EndpointErrorReply(const Error& error, std::string_view request_id) {
  unsigned status = 400;
  std::string_view name = EndpointErrorName(error);
  if (name == "ServiceUnavailable") status = 503;
  if (name == "ThrottlingException") status = 429;
  if (name == "InternalFailure") status = 500;
  if (error.code == Code::kDenied) status = AwsErrorStatus(error);
  if (error.code == Code::kTooLarge) status = 413;
  return {.status = status,
          .headers = {{"Content-Type", "application/json"},
                      {"x-amzn-ErrorType", std::string(name)},
                      {"x-amzn-RequestId", std::string(request_id)}},
          .body = json::serialize(json::object{{"Message", error.message}})};
}

std::string PayloadPartEvent(std::string_view bytes) {
  return EncodeEvent({{{":message-type", "event"},
                       {":event-type", "PayloadPart"},
                       {":content-type", "application/octet-stream"}},
                      std::string(bytes)});
}

std::string StreamFailureEvent(std::string_view name, std::string_view message,
                               std::string_view error_code) {
  json::object body{{"Message", message}};
  if (!error_code.empty()) body["ErrorCode"] = error_code;
  return EncodeEvent({{{":message-type", "exception"},
                       {":exception-type", std::string(name)},
                       {":content-type", "application/json"}},
                      json::serialize(body)});
}

}  // namespace samovar
