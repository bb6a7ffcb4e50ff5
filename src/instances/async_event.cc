#include "instances/async_event.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "base/encoding.h"

namespace samovar {
namespace {

constexpr std::string_view kPrefix = "async/";
constexpr int kFormat = 1;

std::int64_t UnixMs(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::unexpected<Error> Unreadable(std::string_view what) {
  return Fail(Code::kInternal, fmt::format("an event on disk cannot be read: {}", what));
}

// JSON where it is JSON; a string of its bytes where it is not.
boost::json::value AsJson(std::string_view bytes) {
  boost::system::error_code error;
  auto value = boost::json::parse(bytes, error);
  if (error) return boost::json::string(bytes);
  return value;
}

}  // namespace

std::string AsyncKey(std::string_view function, std::uint64_t sequence) {
  return fmt::format("{}{}/{:020}", kPrefix, function, sequence);
}

Result<std::pair<std::string, std::uint64_t>> ParseAsyncKey(std::string_view key) {
  auto slash = key.rfind('/');
  if (!key.starts_with(kPrefix) || slash < kPrefix.size()) return Unreadable(key);
  auto function = key.substr(kPrefix.size(), slash - kPrefix.size());
  auto digits = key.substr(slash + 1);
  std::uint64_t sequence = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), sequence);
  if (error != std::errc() || end != digits.data() + digits.size() || function.empty()) {
    return Unreadable(key);
  }
  return std::pair(std::string(function), sequence);
}

std::string EncodeAsyncEvent(const AsyncEvent& event) {
  boost::json::object head{{"format", kFormat},        {"request_id", event.request_id},
                           {"arn", event.invoked_arn}, {"enqueued", UnixMs(event.enqueued)},
                           {"due", UnixMs(event.due)}, {"attempts", event.attempts},
                           {"hops", event.hops}};
  auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) head[name] = value;
  };
  add("client_context", event.client_context);
  add("cognito_identity", event.cognito_identity);
  add("trace_id", event.trace_id);
  return boost::json::serialize(head) + "\n" + event.payload;
}

Result<AsyncEvent> DecodeAsyncEvent(std::string_view value) {
  auto newline = value.find('\n');
  if (newline == std::string_view::npos) return Unreadable("it has no head");
  boost::system::error_code error;
  auto parsed = boost::json::parse(value.substr(0, newline), error);
  if (error || !parsed.is_object()) return Unreadable("its head is no JSON object");
  const auto& head = parsed.get_object();
  auto text = [&](std::string_view name) {
    auto* field = head.if_contains(name);
    return field && field->is_string() ? std::string(field->get_string()) : std::string();
  };
  auto number = [&](std::string_view name) -> std::int64_t {
    auto* field = head.if_contains(name);
    return field && field->is_int64() ? field->get_int64() : 0;
  };
  if (number("format") != kFormat) return Unreadable("its format is not 1");
  AsyncEvent event;
  event.request_id = text("request_id");
  event.invoked_arn = text("arn");
  event.client_context = text("client_context");
  event.cognito_identity = text("cognito_identity");
  event.trace_id = text("trace_id");
  event.enqueued = WallTime(std::chrono::milliseconds(number("enqueued")));
  event.due = WallTime(std::chrono::milliseconds(number("due")));
  event.attempts = static_cast<int>(number("attempts"));
  event.hops = static_cast<int>(number("hops"));
  event.payload = value.substr(newline + 1);
  if (event.request_id.empty() || event.invoked_arn.empty()) return Unreadable("it names no call");
  return event;
}

std::string DestinationRecord(const AsyncEvent& event, const AsyncOutcome& outcome,
                              std::string_view function_arn, WallTime now) {
  boost::json::object context{
      {"requestId", event.request_id},
      {"functionArn", function_arn},
      {"condition", outcome.condition},
      {"approximateInvokeCount", event.attempts + (outcome.condition == "Success" ? 1 : 0)}};
  boost::json::object record{{"version", "1.0"},
                             {"timestamp", IsoTimestamp(now)},
                             {"requestContext", std::move(context)},
                             {"requestPayload", AsJson(event.payload)}};
  if (outcome.result) {
    boost::json::object response{{"statusCode", 200},
                                 {"executedVersion", outcome.executed_version}};
    if (!outcome.result->function_error.empty()) {
      response["functionError"] = outcome.result->function_error;
    }
    record["responseContext"] = std::move(response);
    record["responsePayload"] = AsJson(outcome.result->payload);
  }
  return boost::json::serialize(record);
}

FunctionArn ParseFunctionArn(std::string_view arn) {
  // arn : aws : lambda : region : account : function : name [: qualifier]
  std::vector<std::string_view> parts;
  for (std::string_view rest = arn; parts.size() < 8;) {
    auto colon = rest.find(':');
    parts.push_back(rest.substr(0, colon));
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (parts.size() < 7 || parts[0] != "arn" || parts[2] != "lambda" || parts[5] != "function") {
    return {};
  }
  return {.function = std::string(parts[6]),
          .qualifier = std::string(parts.size() > 7 ? parts[7] : "")};
}

}  // namespace samovar
