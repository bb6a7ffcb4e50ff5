#include "http_event.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <map>

#include "base/encoding.h"
#include "wire/utf8.h"

namespace samovar {
namespace {

namespace json = boost::json;
namespace http = boost::beast::http;

// Of one connection only, or said anew here.
constexpr std::string_view kNotPassedOn[] = {"connection", "keep-alive",        "proxy-connection",
                                             "te",         "transfer-encoding", "upgrade",
                                             "expect",     "content-length"};

bool PassedOn(std::string_view name) {
  return std::ranges::none_of(kNotPassedOn,
                              [&](auto other) { return boost::beast::iequals(name, other); });
}

std::unexpected<Error> Invalid(std::string message) {
  return Fail(Code::kInvalid, std::move(message));
}

std::string Text(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : "";
}

const json::object* Object(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value ? value->if_object() : nullptr;
}

// What would end a line of the head, or part it in two, must not come from an event.
bool Sendable(std::string_view text, bool target) {
  return std::ranges::all_of(
      text, [&](unsigned char c) { return target ? c > ' ' && c != 0x7f : c >= ' ' || c == '\t'; });
}

// Events may have their paths decoded (function URLs do).
std::string EncodedPath(std::string_view path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto c = static_cast<unsigned char>(path[i]);
    const bool coded = c == '%' && i + 2 < path.size() && std::isxdigit(path[i + 1]) != 0 &&
                       std::isxdigit(path[i + 2]) != 0;
    const bool plain = c > ' ' && c < 0x7f &&
                       std::string_view("%?#\"<>\\^`{|}").find(path[i]) == std::string_view::npos;
    out += coded || plain ? std::string(1, path[i]) : PercentEncode(path.substr(i, 1));
  }
  return out;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return c > ' ' && c < 0x7f &&
           std::string_view("()<>@,;:\\\"/[]?={}").find(static_cast<char>(c)) ==
               std::string_view::npos;
  });
}

Result<void> AddField(std::string_view name, const json::value& value, ToProgram& request) {
  if (!value.is_string() || !PassedOn(name)) return {};
  const auto& text = value.get_string();
  if (!IsToken(name) || !Sendable(text, false)) {
    return Invalid("the event's header " + std::string(name.substr(0, 100)) + " cannot be sent");
  }
  request.insert(std::string(name), std::string(text));
  return {};
}

Result<void> AddFields(const json::object& event, ToProgram& request) {
  if (const auto* several = Object(event, "multiValueHeaders")) {
    for (const auto& [name, values] : *several) {
      if (!values.is_array()) continue;
      for (const auto& value : values.get_array()) TRY(AddField(name, value, request));
    }
  } else if (const auto* fields = Object(event, "headers")) {
    for (const auto& [name, value] : *fields) TRY(AddField(name, value, request));
  }
  std::string cookies;
  if (const auto* list = event.if_contains("cookies"); list && list->is_array()) {
    for (const auto& cookie : list->get_array()) {
      if (!cookie.is_string()) continue;
      cookies += (cookies.empty() ? "" : "; ") + std::string(cookie.get_string());
    }
  }
  if (!cookies.empty()) TRY(AddField("cookie", json::string(cookies), request));
  return {};
}

std::string QueryOf(const json::object& event) {
  std::string query = Text(event, "rawQueryString");
  const auto add = [&](std::string_view name, const json::value& value) {
    if (!value.is_string()) return;
    query += (query.empty() ? "" : "&") + PercentEncode(name) + "=" +
             PercentEncode(std::string_view(value.get_string()));
  };
  if (!query.empty()) return query;
  if (const auto* several = Object(event, "multiValueQueryStringParameters")) {
    for (const auto& [name, values] : *several) {
      if (!values.is_array()) continue;
      for (const auto& value : values.get_array()) add(name, value);
    }
  } else if (const auto* one = Object(event, "queryStringParameters");
             one && !event.contains("rawPath")) {
    for (const auto& [name, value] : *one) add(name, value);
  }
  return query;
}

Result<void> AddBody(const json::object& event, ToProgram& request) {
  request.body() = Text(event, "body");
  const auto* coded = event.if_contains("isBase64Encoded");
  if (coded && coded->is_bool() && coded->get_bool()) {
    auto bytes = Base64Decode(request.body());
    if (!bytes) return Invalid("the event's body is no base64");
    request.body() = std::move(*bytes);
  }
  return {};
}

struct Line {
  std::string method, path;
};

// Of an event of HTTP shape; an empty method for another one.
Line LineOf(const json::object& event) {
  if (const auto* context = Object(event, "requestContext")) {
    if (const auto* about = Object(*context, "http")) {
      auto path = Text(event, "rawPath");
      return {Text(*about, "method"), path.empty() ? Text(*about, "path") : path};
    }
  }
  return {Text(event, "httpMethod"), Text(event, "path")};
}

json::object HeadOf(const FromProgram::header_type& response) {
  std::map<std::string, std::string> fields;
  json::array cookies;
  for (const auto& field : response) {
    std::string name(field.name_string());
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    const std::string value(field.value());
    if (!PassedOn(name) || !IsUtf8(value)) continue;
    if (name == "set-cookie") {
      cookies.emplace_back(value);
    } else if (auto [at, first] = fields.emplace(name, value); !first) {
      at->second += ", " + value;
    }
  }
  json::object answer{{"statusCode", response.result_int()}};
  json::object list;
  for (const auto& [name, value] : fields) list[name] = value;
  answer["headers"] = std::move(list);
  if (!cookies.empty()) answer["cookies"] = std::move(cookies);
  return answer;
}

}  // namespace

Result<HttpEvent> ReadEvent(std::string_view text, std::string_view request_id) {
  boost::system::error_code failed;
  const auto event = json::parse(text, failed);
  if (failed) return Invalid("the event is no JSON");
  HttpEvent read;
  auto& request = read.request;
  request.version(11);
  Line line;
  if (event.is_object()) line = LineOf(event.get_object());
  if (line.method.empty()) {
    read.http = false;
    request.method(http::verb::post);
    request.target("/events");
    request.set(http::field::content_type, "application/json");
    request.body() = text;
  } else {
    const auto& object = event.get_object();
    auto target = (line.path.starts_with('/') ? "" : "/") + EncodedPath(line.path);
    if (const auto query = QueryOf(object); !query.empty()) target += "?" + query;
    if (!IsToken(line.method) || !Sendable(target, true)) {
      return Invalid("the event's method or path cannot be sent");
    }
    request.method_string(line.method);
    request.target(target);
    TRY(AddFields(object, request));
    TRY(AddBody(object, request));
  }
  if (request[http::field::host].empty()) request.set(http::field::host, "localhost");
  request.set("x-amzn-request-id", std::string(request_id));
  request.set(http::field::connection, "close");
  request.prepare_payload();
  return read;
}

std::string PreludeOf(const FromProgram::header_type& head) {
  return json::serialize(HeadOf(head)) + std::string(8, '\0');
}

std::string AnswerOf(const FromProgram& response, bool is_http) {
  const std::string& body = response.body();
  if (!is_http) {
    boost::system::error_code failed;
    (void)json::parse(body, failed);
    return failed ? json::serialize(json::string(body)) : body;
  }
  auto answer = HeadOf(response);
  const bool plain = IsUtf8(body);
  answer["body"] = plain ? body : Base64Encode(body);
  answer["isBase64Encoded"] = !plain;
  return json::serialize(answer);
}

}  // namespace samovar
