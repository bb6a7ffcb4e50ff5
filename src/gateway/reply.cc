#include "gateway/reply.h"

#include <boost/json/serialize.hpp>

#include "wire/aws_error.h"
#include "wire/utf8.h"

namespace samovar {
namespace {

namespace json = boost::json;

std::string EscapeXml(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

// One word for scripts; the Error's own name where it has one.
std::string_view OwnCode(const Error& error) {
  if (!error.name.empty()) return error.name;
  switch (error.code) {
    case Code::kInvalid:
      return "Invalid";
    case Code::kNotFound:
      return "NotFound";
    case Code::kConflict:
      return "Conflict";
    case Code::kPrecondition:
      return "PreconditionFailed";
    case Code::kDenied:
      return "Denied";
    case Code::kTooLarge:
      return "TooLarge";
    case Code::kUnsupported:
      return "Unsupported";
    case Code::kThrottled:
      return "Throttled";
    case Code::kTimeout:
      return "Timeout";
    case Code::kOverloaded:
      return "Overloaded";
    case Code::kUnavailable:
      return "Unavailable";
    case Code::kInternal:
      return "Internal";
  }
  return "Internal";
}

unsigned OwnStatus(const Error& error) {
  switch (error.code) {
    case Code::kInvalid:
      return 400;
    case Code::kNotFound:
      return 404;
    case Code::kConflict:
      return 409;
    case Code::kPrecondition:
      return 412;
    case Code::kDenied:
      return 403;
    case Code::kTooLarge:
      return 413;
    case Code::kUnsupported:
      return 501;
    case Code::kThrottled:
      return 429;
    case Code::kTimeout:
      return 504;
    case Code::kOverloaded:
    case Code::kUnavailable:
      return 503;
    case Code::kInternal:
      return 500;
  }
  return 500;
}

}  // namespace

HttpResponse JsonReply(unsigned status, const json::object& body, std::string_view request_id) {
  return JsonTextReply(status, json::serialize(body), request_id);
}

HttpResponse JsonTextReply(unsigned status, std::string body, std::string_view request_id) {
  HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", kJsonType);
  response.headers.Add(kRequestIdField, request_id);
  response.body = std::move(body);
  return response;
}

HttpResponse FromFields(unsigned status, const Fields& fields, std::string body,
                        std::string_view request_id) {
  HttpResponse response;
  response.status = status;
  for (auto& [name, value] : fields) response.headers.Add(name, value);
  response.headers.Set(kRequestIdField, request_id);
  response.body = std::move(body);
  return response;
}

HttpResponse LambdaError(const Error& error, std::string_view request_id) {
  auto reply = LambdaErrorReply(error, request_id);
  return FromFields(reply.status, reply.headers, std::move(reply.body), request_id);
}

HttpResponse OwnError(const Error& error, std::string_view request_id) {
  json::object body{{"error", AsUtf8(error.message)}, {"code", OwnCode(error)}};
  auto reply = JsonReply(OwnStatus(error), body, request_id);
  if (error.code == Code::kOverloaded) reply.headers.Add("Retry-After", "1");
  return reply;
}

// 501 is what no SDK retries.
HttpResponse ForeignServiceError(const HttpRequest& request, std::string_view service,
                                 std::string_view request_id) {
  std::string message =
      "Samovar does not serve the AWS service '" + std::string(service) +
      "'; it serves AWS Lambda (lambda) and models and endpoints of Amazon SageMaker "
      "(sagemaker).";
  HttpResponse response;
  response.status = 501;
  response.headers.Add(kRequestIdField, request_id);
  auto type = request.headers.Get("Content-Type");
  bool query = type.starts_with("application/x-www-form-urlencoded");
  if (service == "s3" || query) {
    std::string error = "<Code>NotImplemented</Code><Message>" + EscapeXml(message) + "</Message>";
    std::string id(request_id);
    response.headers.Add("Content-Type", query ? "text/xml" : "application/xml");
    response.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
                    (query ? "<ErrorResponse><Error><Type>Sender</Type>" + error +
                                 "</Error><RequestId>" + id + "</RequestId></ErrorResponse>"
                           : "<Error>" + error + "<RequestId>" + id + "</RequestId></Error>");
    return response;
  }
  bool rpc = request.headers.Has("X-Amz-Target");
  response.headers.Add("Content-Type", rpc && !type.empty() ? type : kJsonType);
  response.headers.Add("x-amzn-ErrorType", "NotImplemented");
  response.body = json::serialize(
      json::object{{"__type", "NotImplemented"}, {"message", message}, {"Message", message}});
  return response;
}

}  // namespace samovar
