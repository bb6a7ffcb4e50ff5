#pragma once
// Function URLs: an HTTP request as the function sees it (payload format 2.0), the function's value
// as an HTTP answer, and CORS.
//
// How      An answer that is an object with "statusCode" is an HTTP answer; any other JSON value is
//          a 200 of application/json with that value as its body, a string without its quotes.
// Errors   None: what a function answers wrongly becomes a 502 "Internal Server Error", as with
//          AWS.
// Source   docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html; recorded answers.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "wire/fields.h"

namespace samovar {

// Who signed, under AuthType AWS_IAM.
struct IamCaller {
  std::string access_key_id;
  std::string account_id;
  std::string user_arn;
  std::string user_id;
};

struct UrlRequest {
  std::string_view method;
  std::string_view path;       // as sent, still encoded
  std::string_view raw_query;  // as sent
  FieldsView headers;
  std::string_view body;
  std::string_view protocol = "HTTP/1.1";
  std::string_view source_ip;
  std::string_view scheme = "http";
  std::string_view port;         // of this server; "" leaves X-Forwarded-* out
  std::string_view trace_id;     // X-Amzn-Trace-Id, or ""
  std::string_view domain_name;  // "ID.lambda-url.us-east-1.localhost"
  std::string_view url_id;
  std::string_view request_id;
  WallTime time;
  std::optional<IamCaller> caller;
};

// The event, as JSON text.
std::string UrlEvent(const UrlRequest& request);
// Whether a body of that content type travels as base64.
bool IsBinaryContent(std::string_view content_type, std::string_view content_encoding);

struct UrlAnswer {
  unsigned status = 200;
  Fields headers;  // Content-Type included; each cookie is a Set-Cookie
  std::string body;
};

// `payload`: what the function answered.
UrlAnswer DecodeUrlAnswer(std::string_view payload);
// What the caller sees where the function failed: 502, "Internal Server Error".
UrlAnswer UrlFailure();
// {"Message": "Forbidden. For troubleshooting .."}: 403, AccessDeniedException.
UrlAnswer UrlForbidden();

struct CorsPolicy {
  bool credentials = false;
  std::vector<std::string> allow_headers;
  std::vector<std::string> allow_methods;
  std::vector<std::string> allow_origins;
  std::vector<std::string> expose_headers;
  std::optional<int> max_age;
};

// Whether this is a preflight: OPTIONS with Origin and Access-Control-Request-Method.
bool IsPreflight(std::string_view method, FieldsView headers);
// The answer to a preflight: 200 with what is allowed, or without any Access-Control field.
UrlAnswer PreflightAnswer(const CorsPolicy& policy, FieldsView headers);
// Puts the policy's fields in place of those the function set itself.
void ApplyCors(const CorsPolicy& policy, FieldsView request_headers, Fields& answer_headers);

}  // namespace samovar
