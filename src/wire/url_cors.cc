#include <fmt/format.h>

#include <algorithm>

#include "wire/function_url.h"

namespace samovar {
namespace {

constexpr std::string_view kAny = "*";
constexpr std::string_view kPrefix = "access-control-";

bool Lists(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::any_of(list, [wanted](const std::string& entry) {
    return entry == kAny || SameFieldName(entry, wanted);
  });
}

// What Access-Control-Allow-Origin says to that origin; "" where it is not allowed. With
// credentials a browser takes no "*", so the origin is named.
std::string_view AllowedOrigin(const CorsPolicy& policy, std::string_view origin) {
  if (origin.empty() || !Lists(policy.allow_origins, origin)) return {};
  bool any = std::ranges::find(policy.allow_origins, kAny) != policy.allow_origins.end();
  return any && !policy.credentials ? kAny : origin;
}

bool AllHeadersAllowed(const CorsPolicy& policy, std::string_view wanted) {
  while (!wanted.empty()) {
    std::size_t end = std::min(wanted.find(','), wanted.size());
    std::string_view name = wanted.substr(0, end);
    wanted.remove_prefix(std::min(end + 1, wanted.size()));
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (!name.empty() && !Lists(policy.allow_headers, name)) return false;
  }
  return true;
}

// The list as a field's value; with credentials, where "*" means nothing, what was asked for.
std::string Offer(const CorsPolicy& policy, const std::vector<std::string>& list,
                  std::string_view wanted) {
  bool any = std::ranges::find(list, kAny) != list.end();
  if (any && policy.credentials) return std::string(wanted);
  return fmt::format("{}", fmt::join(list, ","));
}

void AddOrigin(const CorsPolicy& policy, std::string_view allowed, Fields& fields) {
  fields.emplace_back("Access-Control-Allow-Origin", allowed);
  if (allowed != kAny) fields.emplace_back("Vary", "Origin");
  if (policy.credentials) fields.emplace_back("Access-Control-Allow-Credentials", "true");
}

}  // namespace

bool IsPreflight(std::string_view method, FieldsView headers) {
  return method == "OPTIONS" && FindField(headers, "origin") != nullptr &&
         FindField(headers, "access-control-request-method") != nullptr;
}

UrlAnswer PreflightAnswer(const CorsPolicy& policy, FieldsView headers) {
  UrlAnswer answer;
  std::string_view method = FieldOr(headers, "access-control-request-method");
  std::string_view wanted = FieldOr(headers, "access-control-request-headers");
  std::string_view allowed = AllowedOrigin(policy, FieldOr(headers, "origin"));
  if (allowed.empty() || !Lists(policy.allow_methods, method) ||
      !AllHeadersAllowed(policy, wanted)) {
    return answer;
  }
  AddOrigin(policy, allowed, answer.headers);
  answer.headers.emplace_back("Access-Control-Allow-Methods",
                              Offer(policy, policy.allow_methods, method));
  if (!policy.allow_headers.empty()) {
    answer.headers.emplace_back("Access-Control-Allow-Headers",
                                Offer(policy, policy.allow_headers, wanted));
  }
  if (policy.max_age) {
    answer.headers.emplace_back("Access-Control-Max-Age", std::to_string(*policy.max_age));
  }
  return answer;
}

void ApplyCors(const CorsPolicy& policy, FieldsView request_headers, Fields& answer_headers) {
  std::erase_if(answer_headers, [](const Field& field) {
    return SameFieldName(std::string_view(field.first).substr(0, kPrefix.size()), kPrefix);
  });
  std::string_view allowed = AllowedOrigin(policy, FieldOr(request_headers, "origin"));
  if (allowed.empty()) return;
  AddOrigin(policy, allowed, answer_headers);
  if (!policy.expose_headers.empty()) {
    answer_headers.emplace_back("Access-Control-Expose-Headers",
                                fmt::format("{}", fmt::join(policy.expose_headers, ",")));
  }
}

}  // namespace samovar
