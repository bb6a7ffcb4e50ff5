#include "wire/request_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parser.hpp>

#include "wire/simple_json.h"

namespace samovar {
namespace json = boost::json;
namespace {

constexpr std::size_t kMaxDepth = 64;         // of an API request
constexpr std::size_t kMaxEventDepth = 1000;  // of an event, which is the function's own affair

std::unexpected<Error> NotJson(std::string_view text, std::size_t at, const std::string& why,
                               std::string_view what_failed) {
  std::string_view before = text.substr(0, std::min(at, text.size()));
  auto line = std::ranges::count(before, '\n') + 1;
  std::size_t start = before.rfind('\n');
  std::size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return Fail(Code::kInvalid,
              fmt::format("{}: {} at line: {}, column: {}", what_failed, why, line, column),
              "InvalidRequestContentException");
}

// Takes every event of the parser and keeps nothing.
struct Ignore {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Error = json::error_code;
  using Text = json::string_view;
  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) { return true; }
  bool on_object_end(std::size_t, Error&) { return true; }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t, Error&) { return true; }
  bool on_key_part(Text, std::size_t, Error&) { return true; }
  bool on_key(Text, std::size_t, Error&) { return true; }
  bool on_string_part(Text, std::size_t, Error&) { return true; }
  bool on_string(Text, std::size_t, Error&) { return true; }
  bool on_number_part(Text, Error&) { return true; }
  bool on_int64(std::int64_t, Text, Error&) { return true; }
  bool on_uint64(std::uint64_t, Text, Error&) { return true; }
  bool on_double(double, Text, Error&) { return true; }
  bool on_bool(bool, Error&) { return true; }
  bool on_null(Error&) { return true; }
  bool on_comment_part(Text, Error&) { return true; }
  bool on_comment(Text, Error&) { return true; }
};

}  // namespace

Result<json::value> ParseRequestJson(std::string_view body) {
  constexpr std::string_view kFailed = "Could not parse request body into json";
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::parser parser({}, options);
  json::error_code error;
  std::size_t used = parser.write(body.data(), body.size(), error);
  if (error) return NotJson(body, used, error.message(), kFailed);
  return parser.release();
}

Result<void> ValidateJson(std::string_view text, std::string_view what_failed) {
  if (IsSimpleJson(text)) return {};
  json::parse_options options;
  options.max_depth = kMaxEventDepth;
  json::basic_parser<Ignore> parser(options);
  json::error_code error;
  std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && used < text.size()) error = json::error::extra_data;
  if (error) return NotJson(text, used, error.message(), what_failed);
  return {};
}

}  // namespace samovar
