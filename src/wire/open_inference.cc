#include "wire/open_inference.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <vector>

#include "base/encoding.h"
#include "wire/endpoint_call.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kRoot = "/v2";
constexpr std::string_view kLengthParameter = "inference-header-content-length=";

using Action = InferenceAction;

struct Known {
  std::string_view method;
  std::string_view pattern;  // segments; M is a model, V a version
  Action action;
};

constexpr Known kRoutes[] = {
    {"GET", "", Action::kServerMetadata},
    {"GET", "health/live", Action::kServerLive},
    {"GET", "health/ready", Action::kServerReady},
    {"GET", "models/M", Action::kModelMetadata},
    {"GET", "models/M/versions/V", Action::kModelMetadata},
    {"GET", "models/M/ready", Action::kModelReady},
    {"GET", "models/M/versions/V/ready", Action::kModelReady},
    {"GET", "models/M/config", Action::kModelConfig},
    {"GET", "models/M/versions/V/config", Action::kModelConfig},
    {"POST", "models/M/infer", Action::kInfer},
    {"POST", "models/M/versions/V/infer", Action::kInfer},
    {"POST", "repository/index", Action::kRepositoryIndex},
    {"POST", "repository/models/M/load", Action::kRepositoryLoad},
    {"POST", "repository/models/M/unload", Action::kRepositoryUnload},
};

std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    auto end = std::min(path.find('/'), path.size());
    if (end > 0) segments.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return segments;
}

bool Matches(const std::vector<std::string_view>& pattern,
             const std::vector<std::string_view>& path) {
  return std::ranges::equal(pattern, path, [](std::string_view want, std::string_view have) {
    return want == "M" || want == "V" || want == have;
  });
}

Result<std::size_t> Length(std::string_view text, std::size_t body_size) {
  std::size_t length = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length > body_size) {
    return Fail(Code::kInvalid, fmt::format("{}: expected a number of at most the body's {} bytes, "
                                            "got '{}'",
                                            kInferenceHeaderLength, body_size, text));
  }
  return length;
}

unsigned StatusOf(Code code) {
  switch (code) {
    case Code::kNotFound:
      return 404;
    case Code::kDenied:
      return 403;
    case Code::kTooLarge:
      return 413;
    case Code::kThrottled:
      return 429;
    case Code::kUnsupported:
      return 501;
    case Code::kTimeout:
      return 504;
    case Code::kOverloaded:
    case Code::kUnavailable:
      return 503;
    case Code::kInternal:
      return 500;
    default:
      return 400;
  }
}

}  // namespace

std::optional<Result<InferenceRoute>> MatchInferenceRoute(std::string_view method,
                                                          std::string_view path) {
  if (!path.starts_with(kRoot)) return std::nullopt;
  auto rest = path.substr(kRoot.size());
  if (!rest.empty() && rest[0] != '/') return std::nullopt;
  auto segments = Segments(rest);
  bool known_path = false;
  for (const Known& known : kRoutes) {
    auto pattern = Segments(known.pattern);
    if (!Matches(pattern, segments)) continue;
    known_path = true;
    if (known.method != method) continue;
    InferenceRoute route{.action = known.action, .model = {}, .version = {}};
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] != "M" && pattern[i] != "V") continue;
      auto name = PercentDecode(segments[i]);
      if (!name) return Fail(Code::kInvalid, "the path is badly percent-encoded");
      (pattern[i] == "M" ? route.model : route.version) = *name;
    }
    return route;
  }
  if (known_path) return Fail(Code::kInvalid, fmt::format("{} is not allowed here", method));
  return Fail(Code::kNotFound, fmt::format("there is no {} {} in the inference protocol v2 as it "
                                           "is served here (docs/models.md lists the paths)",
                                           method, path));
}

std::string BinaryTensorType(std::size_t header_length) {
  return fmt::format("application/octet-stream; {}{}", kLengthParameter, header_length);
}

std::optional<std::size_t> BinaryHeaderLength(std::string_view content_type) {
  auto at = content_type.find(kLengthParameter);
  if (MediaType(content_type) != "application/octet-stream" || at == content_type.npos) {
    return std::nullopt;
  }
  auto text = content_type.substr(at + kLengthParameter.size());
  auto length = Length(text.substr(0, text.find(';')), static_cast<std::size_t>(-1));
  if (!length) return std::nullopt;
  return *length;
}

Result<std::string> InferenceBodyType(FieldsView headers, std::size_t body_size) {
  auto encoding = FieldOr(headers, "Content-Encoding");
  if (!encoding.empty() && encoding != "identity") {
    return Fail(
        Code::kUnsupported,
        fmt::format("Content-Encoding: '{}' is not read here; send the body as it is", encoding));
  }
  auto text = FieldOr(headers, kInferenceHeaderLength);
  if (text.empty()) return std::string();
  TRY(auto length, Length(text, body_size));
  return BinaryTensorType(length);
}

ErrorReply InferenceErrorReply(const Error& error, std::string_view request_id) {
  unsigned status = StatusOf(error.code);
  ErrorReply reply{.status = status,
                   .headers = {{"Content-Type", "application/json"},
                               {"x-amzn-RequestId", std::string(request_id)}},
                   .body = json::serialize(json::object{{"error", error.message}})};
  if (status == 429) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

json::object ModelConfigOf(const json::object& metadata) {
  auto tensors = [&metadata](std::string_view key) {
    json::array list;
    auto* from = metadata.if_contains(key);
    if (!from || !from->is_array()) return list;
    for (auto& value : from->get_array()) {
      auto* tensor = value.if_object();
      if (!tensor) continue;
      json::object entry;
      if (auto* name = tensor->if_contains("name")) entry["name"] = *name;
      if (auto* type = tensor->if_contains("datatype"); type && type->is_string()) {
        std::string_view text = type->get_string();
        entry["data_type"] = text == "BYTES" ? "TYPE_STRING" : fmt::format("TYPE_{}", text);
      }
      if (auto* shape = tensor->if_contains("shape")) entry["dims"] = *shape;
      list.push_back(std::move(entry));
    }
    return list;
  };
  json::object config{
      {"max_batch_size", 0}, {"input", tensors("inputs")}, {"output", tensors("outputs")}};
  for (auto [to, from] : {std::pair("name", "name"), {"platform", "platform"}}) {
    if (auto* value = metadata.if_contains(from)) config[to] = *value;
  }
  return config;
}

}  // namespace samovar
