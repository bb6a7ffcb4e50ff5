#include "wire/function_url.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <ctime>

#include "base/encoding.h"
#include "wire/utf8.h"

namespace samovar {
namespace json = boost::json;
namespace {

std::string Lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// Bytes that came from outside, fit for JSON.
std::string Text(std::string_view bytes) {
  return IsUtf8(bytes) ? std::string(bytes) : PercentEncode(bytes, true);
}

// Puts a value under its name, joined by a comma to those that are there.
void Join(json::object& object, const std::string& name, std::string_view value) {
  auto [member, added] = object.emplace(name, value);
  if (added) return;
  json::string& joined = member->value().get_string();
  joined.push_back(',');
  joined.append(value);
}

json::object HeadersOf(const UrlRequest& request) {
  json::object headers;
  for (const auto& [name, value] : request.headers) {
    std::string lowered = Lowered(name);
    if (lowered != "cookie") Join(headers, Text(lowered), Text(value));
  }
  if (!request.port.empty()) {
    headers["x-forwarded-for"] = request.source_ip;
    headers["x-forwarded-port"] = request.port;
    headers["x-forwarded-proto"] = request.scheme;
  }
  if (!request.trace_id.empty()) headers["x-amzn-trace-id"] = Text(request.trace_id);
  return headers;
}

json::array CookiesOf(FieldsView headers) {
  json::array cookies;
  for (const auto& [name, value] : headers) {
    if (!SameFieldName(name, "cookie")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      std::size_t end = std::min(rest.find(';'), rest.size());
      std::string_view cookie = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      while (cookie.starts_with(' ')) cookie.remove_prefix(1);
      if (!cookie.empty()) cookies.emplace_back(Text(cookie));
    }
  }
  return cookies;
}

json::object QueryOf(std::string_view raw_query) {
  json::object parameters;
  for (const auto& [name, value] : ParseQuery(raw_query)) {
    Join(parameters, Text(name), Text(value));
  }
  return parameters;
}

// "24/Nov/2026:15:21:16 +0000"
std::string LogTime(WallTime time) {
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char day[8], rest[40];
  std::strftime(day, sizeof day, "%d/", &utc);
  std::strftime(rest, sizeof rest, "/%Y:%H:%M:%S +0000", &utc);
  return std::string(day) + kMonths.at(static_cast<std::size_t>(utc.tm_mon)) + rest;
}

json::object IamOf(const IamCaller& caller) {
  return {{"accessKey", caller.access_key_id}, {"accountId", caller.account_id},
          {"callerId", caller.user_id},        {"cognitoIdentity", nullptr},
          {"principalOrgId", nullptr},         {"userArn", caller.user_arn},
          {"userId", caller.user_id}};
}

json::object ContextOf(const UrlRequest& request, std::string_view path) {
  auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(request.time.time_since_epoch());
  json::object context{
      {"accountId", request.caller ? std::string_view(request.caller->account_id) : "anonymous"},
      {"apiId", request.url_id},
      {"domainName", Text(request.domain_name)},
      {"domainPrefix", request.url_id},
      {"http",
       {{"method", request.method},
        {"path", path},
        {"protocol", request.protocol},
        {"sourceIp", request.source_ip},
        {"userAgent", Text(FieldOr(request.headers, "user-agent"))}}},
      {"requestId", request.request_id},
      {"routeKey", "$default"},
      {"stage", "$default"},
      {"time", LogTime(request.time)},
      {"timeEpoch", millis.count()}};
  if (request.caller) context["authorizer"] = {{"iam", IamOf(*request.caller)}};
  return context;
}

}  // namespace

bool IsBinaryContent(std::string_view content_type, std::string_view content_encoding) {
  if (!content_encoding.empty() && !SameFieldName(content_encoding, "identity")) return true;
  std::string type = Lowered(content_type.substr(0, content_type.find(';')));
  while (type.ends_with(' ')) type.pop_back();
  return !(type.empty() || type.starts_with("text/") || type == "application/json" ||
           type == "application/xml" || type == "application/javascript" ||
           type == "application/graphql" || type.ends_with("+json") || type.ends_with("+xml"));
}

std::string UrlEvent(const UrlRequest& request) {
  std::string decoded = PercentDecode(request.path).value_or(std::string(request.path));
  std::string path = IsUtf8(decoded) ? decoded : Text(request.path);
  json::object event{{"version", "2.0"},
                     {"routeKey", "$default"},
                     {"rawPath", path},
                     {"rawQueryString", Text(request.raw_query)}};
  if (json::array cookies = CookiesOf(request.headers); !cookies.empty()) {
    event["cookies"] = std::move(cookies);
  }
  event["headers"] = HeadersOf(request);
  if (json::object query = QueryOf(request.raw_query); !query.empty()) {
    event["queryStringParameters"] = std::move(query);
  }
  event["requestContext"] = ContextOf(request, path);
  bool binary = false;
  if (!request.body.empty()) {
    binary = IsBinaryContent(FieldOr(request.headers, "content-type"),
                             FieldOr(request.headers, "content-encoding")) ||
             !IsUtf8(request.body);
    event["body"] = binary ? json::string(Base64Encode(request.body)) : json::string(request.body);
  }
  event["isBase64Encoded"] = binary;
  return json::serialize(event);
}

}  // namespace samovar
