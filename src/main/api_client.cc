#include "main/api_client.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "base/encoding.h"

namespace samovar {

namespace {

Code CodeOfStatus(unsigned status) {
  switch (status) {
    case 401:
    case 403:
      return Code::kDenied;
    case 404:
      return Code::kNotFound;
    case 409:
      return Code::kConflict;
    case 412:
      return Code::kPrecondition;
    case 413:
      return Code::kTooLarge;
    case 429:
      return Code::kThrottled;
    case 501:
      return Code::kUnsupported;
    default:
      return status >= 500 ? Code::kInternal : Code::kInvalid;
  }
}

}  // namespace

ApiClient::ApiClient(HttpEndpoint endpoint, FoundCredentials credentials, const Clock& clock)
    : http_(std::move(endpoint)), credentials_(std::move(credentials)), clock_(clock) {}

std::string ApiClient::Address() const {
  const HttpEndpoint& endpoint = http_.Endpoint();
  return (endpoint.tls ? "https://" : "http://") + endpoint.HostField();
}

Result<HttpReply> ApiClient::Call(HttpCall call, std::string sha256,
                                  std::function<bool(std::string_view piece)> on_piece) const {
  if (sha256.empty()) {
    sha256 = call.body_file.empty() ? Sha256Hex(call.body) : std::string("UNSIGNED-PAYLOAD");
  }
  call.headers.Set("X-Amz-Content-Sha256", sha256);
  Fields sent = call.headers.All();
  sent.emplace_back("Host", http_.Endpoint().HostField());  // HttpClient adds it
  const std::size_t query = call.target.find('?');
  const std::string_view target = call.target;
  const RequestHead head{
      .method = call.method,
      .path = target.substr(0, query),
      .raw_query = query == std::string::npos ? std::string_view() : target.substr(query + 1),
      .headers = sent};
  for (const Field& field :
       SignRequest(head, sha256, credentials_.keys, credentials_.region, "lambda", clock_.Wall())) {
    call.headers.Set(field.first, field.second);
  }
  auto reply = http_.Call(std::move(call), std::move(on_piece));
  if (!reply) {
    Error error = reply.error();
    if (error.code == Code::kUnavailable) {
      error.message = fmt::format(
          "no answer from a server at {}: {}\nstart one with: samovar serve   (or name another: "
          "--endpoint URL)",
          Address(), error.message);
    }
    return std::unexpected(std::move(error));
  }
  if (reply->status >= 200 && reply->status < 300) return reply;
  return AsError(*reply);
}

Result<HttpReply> ApiClient::AsError(const HttpReply& reply) const {
  std::string name(reply.headers.Get("x-amzn-ErrorType"));
  name = name.substr(0, name.find(':'));
  std::string message;
  boost::system::error_code bad;
  const boost::json::value body = boost::json::parse(reply.body, bad);
  if (!bad && body.is_object()) {
    for (const char* member : {"message", "Message", "error", "errorMessage"}) {
      if (message.empty()) message = JsonText(body, member);
    }
    const std::string reason = JsonText(body, "Reason");
    if (!reason.empty()) message += " (" + reason + ")";
  }
  if (message.empty()) message = fmt::format("the server answered {}", reply.status);
  if (!name.empty()) message = name + ": " + message;
  if (CodeOfStatus(reply.status) == Code::kDenied) {
    message += fmt::format(
        "\nsigned with {} ({}); make a key where the server runs: samovar keys create --data-dir "
        "DIR,\nthen set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        credentials_.keys.access_key_id, credentials_.origin);
  }
  return Fail(CodeOfStatus(reply.status), std::move(message));
}

Result<boost::json::value> ApiClient::Json(std::string method, std::string target,
                                           const boost::json::value& body) const {
  HttpCall call;
  call.method = std::move(method);
  call.target = std::move(target);
  if (!body.is_null()) {
    call.headers.Set("Content-Type", "application/json");
    call.body = boost::json::serialize(body);
  }
  TRY(HttpReply reply, Call(std::move(call)));
  if (reply.body.empty()) return boost::json::value();
  boost::system::error_code bad;
  boost::json::value value = boost::json::parse(reply.body, bad);
  if (bad) {
    return Fail(Code::kInternal,
                fmt::format("{} did not answer with JSON; is it a samovar server?", Address()));
  }
  return value;
}

Result<std::optional<boost::json::value>> ApiClient::JsonIfThere(std::string target) const {
  auto value = Json("GET", std::move(target));
  if (value) return std::optional<boost::json::value>(std::move(*value));
  if (value.error().code == Code::kNotFound) return std::optional<boost::json::value>();
  return std::unexpected(value.error());
}

Result<boost::json::array> ApiClient::AllPages(const std::string& target,
                                               std::string_view member) const {
  boost::json::array all;
  for (std::string page = target; !page.empty();) {
    TRY(const boost::json::value answer, Json("GET", std::exchange(page, {})));
    const boost::json::value& items = JsonMember(answer, member);
    if (items.is_array()) all.insert(all.end(), items.as_array().begin(), items.as_array().end());
    for (const auto& [name, parameter] :
         {std::pair("NextMarker", "Marker="), std::pair("next_marker", "marker=")}) {
      const std::string marker = JsonText(answer, name);
      if (marker.empty()) continue;
      page = target + (target.find('?') == target.npos ? "?" : "&") + parameter +
             PercentEncode(marker);
    }
  }
  return all;
}

std::string FunctionPath(std::string_view name, std::string_view rest, std::string_view date) {
  return fmt::format("/{}/functions/{}{}", date, PercentEncode(name), rest);
}

const boost::json::value& JsonMember(const boost::json::value& object, std::string_view member) {
  static const boost::json::value kEmpty = boost::json::object();
  if (!object.is_object()) return kEmpty;
  const boost::json::value* found = object.as_object().if_contains(member);
  return found == nullptr ? kEmpty : *found;
}

std::string JsonText(const boost::json::value& object, std::string_view member) {
  const boost::json::value& value = JsonMember(object, member);
  return value.is_string() ? std::string(value.as_string()) : std::string();
}

double JsonNumber(const boost::json::value& object, std::string_view member) {
  const boost::json::value& value = JsonMember(object, member);
  if (value.is_int64()) return static_cast<double>(value.as_int64());
  if (value.is_uint64()) return static_cast<double>(value.as_uint64());
  return value.is_double() ? value.as_double() : 0;
}

}  // namespace samovar
