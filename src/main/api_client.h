#pragma once
// ApiClient: the server's APIs, as the commands call them: signed, and errors as values.
//
// Errors   Of an answer: by its status (404 kNotFound, 401 and 403 kDenied, 409 kConflict, 412
//          kPrecondition, 413 kTooLarge, 429 kThrottled, 501 kUnsupported, other 4xx kInvalid, 5xx
//          kInternal), with the API's error name and message as text. kUnavailable: no server.
// Threads  One; each call blocks.

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "main/credentials.h"
#include "net/http_client.h"

namespace samovar {

class ApiClient {
 public:
  ApiClient(HttpEndpoint endpoint, FoundCredentials credentials, const Clock& clock);

  std::string Address() const;  // "http://127.0.0.1:4566"

  // `sha256` is that of the body where it is known already (of a body_file, say).
  Result<HttpReply> Call(HttpCall call, std::string sha256 = {},
                         std::function<bool(std::string_view piece)> on_piece = nullptr) const;
  // JSON in (null: no body) and out (null for an empty answer).
  Result<boost::json::value> Json(std::string method, std::string target,
                                  const boost::json::value& body = nullptr) const;
  // The same; nullopt where the answer is 404.
  Result<std::optional<boost::json::value>> JsonIfThere(std::string target) const;
  // A member of all pages of a list, which name the next as the Lambda API or ours does.
  Result<boost::json::array> AllPages(const std::string& target, std::string_view member) const;

 private:
  Result<HttpReply> AsError(const HttpReply& reply) const;

  HttpClient http_;
  FoundCredentials credentials_;
  const Clock& clock_;
};

// "/2015-03-31/functions/NAME" with the name encoded, and what follows as it stands.
std::string FunctionPath(std::string_view name, std::string_view rest = {},
                         std::string_view date = "2015-03-31");

// A member as text, "" where it is absent or no text; and numbers likewise.
std::string JsonText(const boost::json::value& object, std::string_view member);
double JsonNumber(const boost::json::value& object, std::string_view member);
// A member that is an object or array; an empty object where it is absent.
const boost::json::value& JsonMember(const boost::json::value& object, std::string_view member);

}  // namespace samovar
