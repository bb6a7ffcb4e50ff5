#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/encoding.h"
#include "wire/function_url.h"
#include "wire/url_head.h"

namespace samovar {
namespace json = boost::json;
namespace {

constexpr std::size_t kMaxDepth = 1000;

// Fields of the connection, which is not the function's.
constexpr std::array<std::string_view, 8> kConnectionFields = {
    "connection", "content-length",    "keep-alive", "proxy-connection",
    "te",         "transfer-encoding", "trailer",    "upgrade"};

bool IsToken(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

bool IsFieldValue(std::string_view value) {
  return std::ranges::all_of(value,
                             [](unsigned char c) { return c == '\t' || (c >= 32 && c != 127); });
}

void AddField(Fields& fields, std::string_view name, std::string_view value) {
  if (!IsToken(name) || !IsFieldValue(value)) return;
  if (std::ranges::any_of(kConnectionFields,
                          [name](std::string_view own) { return SameFieldName(own, name); })) {
    return;
  }
  fields.emplace_back(name, value);
}

// Text of a header's value, which may also have been written as a number or a boolean.
std::optional<std::string> ScalarText(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(*text);
  if (value.is_bool() || value.is_int64() || value.is_uint64()) return json::serialize(value);
  return std::nullopt;
}

std::optional<unsigned> StatusOf(const json::value& value) {
  std::int64_t status = 0;
  if (value.is_int64()) {
    status = value.get_int64();
  } else if (const auto* text = value.if_string()) {
    auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), status);
    if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  }
  if (status < 100 || status > 599) return std::nullopt;
  return static_cast<unsigned>(status);
}

// JSON without the white space between its tokens. REQUIRES: valid JSON.
std::string Compact(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted && c == '\\') {
      out += c;
      if (++i < text.size()) out += text[i];
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (quoted || (c != ' ' && c != '\n' && c != '\r' && c != '\t')) out += c;
  }
  return out;
}

UrlAnswer HttpAnswer(const json::object& from) {
  UrlAnswer answer;
  if (!ReadUrlHead(from, "application/json", answer)) return UrlFailure();
  const json::value* body = from.if_contains("body");
  const json::value* base64 = from.if_contains("isBase64Encoded");
  if (!body || body->is_null()) return answer;
  answer.body = body->is_string() ? std::string(body->get_string()) : json::serialize(*body);
  if (base64 && base64->is_bool() && base64->get_bool()) {
    auto bytes = Base64Decode(answer.body);
    if (!bytes) return UrlFailure();
    answer.body = *std::move(bytes);
  }
  return answer;
}

}  // namespace

bool ReadUrlHead(const json::object& from, std::string_view default_content_type,
                 UrlAnswer& answer) {
  if (const json::value* status = from.if_contains("statusCode")) {
    auto number = StatusOf(*status);
    if (!number) return false;
    answer.status = *number;
  }
  const json::value* headers = from.if_contains("headers");
  if (headers && !headers->is_null()) {
    if (!headers->is_object()) return false;
    for (const auto& [name, value] : headers->get_object()) {
      if (auto text = ScalarText(value)) AddField(answer.headers, name, *text);
    }
  }
  const json::value* cookies = from.if_contains("cookies");
  if (cookies && !cookies->is_null()) {
    if (!cookies->is_array()) return false;
    for (const json::value& cookie : cookies->get_array()) {
      if (auto text = ScalarText(cookie)) AddField(answer.headers, "Set-Cookie", *text);
    }
  }
  if (!FindField(answer.headers, "content-type")) {
    answer.headers.emplace_back("Content-Type", default_content_type);
  }
  return true;
}

UrlAnswer DecodeUrlAnswer(std::string_view payload) {
  UrlAnswer answer{.status = 200, .headers = {{"Content-Type", "application/json"}}, .body = {}};
  if (payload.empty()) return answer;
  json::error_code error;
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::value value = json::parse(payload, error, {}, options);
  if (error) return UrlFailure();
  if (value.is_object() && value.get_object().contains("statusCode")) {
    return HttpAnswer(value.get_object());
  }
  answer.body = value.is_string() ? std::string(value.get_string()) : Compact(payload);
  return answer;
}

UrlAnswer UrlFailure() {
  return {.status = 502,
          .headers = {{"Content-Type", "application/json"},
                      {"x-amzn-ErrorType", "InternalServerErrorException"}},
          .body = "Internal Server Error"};
}

UrlAnswer UrlForbidden() {
  return {.status = 403,
          .headers = {{"Content-Type", "application/json"},
                      {"x-amzn-ErrorType", "AccessDeniedException"}},
          .body =
              R"({"Message":"Forbidden. For troubleshooting Function URL authorization issues, )"
              R"(see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"})"};
}

}  // namespace samovar
