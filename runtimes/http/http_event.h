#pragma once
// HttpEvent: an event of HTTP shape as a request to the image's program, and its answer as the
// event's.
//
// How      Payload format 2.0 (function URLs) and 1.0 (REST APIs). Any other event is a POST to
//          /events with the event as its body, whose answer's body is the answer.
// Errors   kInvalid for what is no JSON, or names no method or path that can be sent.
// Source   docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html; the AWS Lambda Web Adapter
//          has /events for the same.

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

using ToProgram = boost::beast::http::request<boost::beast::http::string_body>;
using FromProgram = boost::beast::http::response<boost::beast::http::string_body>;

struct HttpEvent {
  ToProgram request;
  bool http = true;  // false: any other event
};

Result<HttpEvent> ReadEvent(std::string_view event, std::string_view request_id);

// Of an answer whose body follows: {"statusCode", "headers", "cookies"} and eight NUL bytes, as
// streamed answers of function URLs begin.
std::string PreludeOf(const FromProgram::header_type& head);
inline constexpr const char* kPreludeType = "application/vnd.awslambda.http-integration-response";

// {"statusCode", "headers", "cookies", "body", "isBase64Encoded"}, or the body itself.
std::string AnswerOf(const FromProgram& response, bool http);

}  // namespace samovar
