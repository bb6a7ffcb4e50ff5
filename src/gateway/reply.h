#pragma once
// Replies in each API's form. All carry the request's id.

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/http.h"
#include "wire/fields.h"

namespace samovar {

inline constexpr std::string_view kRequestIdField = "x-amzn-RequestId";
inline constexpr std::string_view kJsonType = "application/json";

HttpResponse JsonReply(unsigned status, const boost::json::object& body,
                       std::string_view request_id);
HttpResponse JsonTextReply(unsigned status, std::string body, std::string_view request_id);
// Lambda's error: name, status and body from the one table in wire.
HttpResponse LambdaError(const Error& error, std::string_view request_id);
// Samovar's own: {"error", "code"}.
HttpResponse OwnError(const Error& error, std::string_view request_id);
// What wire gave as fields, as a response.
HttpResponse FromFields(unsigned status, const Fields& fields, std::string body,
                        std::string_view request_id);

// The error of a request for an AWS service that is not Lambda, in that service's protocol.
HttpResponse ForeignServiceError(const HttpRequest& request, std::string_view service,
                                 std::string_view request_id);

}  // namespace samovar
