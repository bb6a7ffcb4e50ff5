#include "wire/lambda_routes.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace samovar {
namespace {

constexpr std::size_t kMaxSegments = 8;

struct Segments {
  std::array<std::string_view, kMaxSegments> at;
  std::size_t count = 0;
  bool too_many = false;
};

// The segments of "/a/b/c"; one slash at the end is as none.
Segments Split(std::string_view path) {
  Segments segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // '/'
    std::size_t end = std::min(path.find('/'), path.size());
    if (end == 0 && path.empty()) break;
    if (segments.count == kMaxSegments) {
      segments.too_many = true;
      break;
    }
    segments.at[segments.count++] = path.substr(0, end);
    path.remove_prefix(end);
  }
  return segments;
}

bool IsDate(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i != 4 && i != 7 && (text[i] < '0' || text[i] > '9')) return false;
  }
  return true;
}

bool IsParam(std::string_view segment) { return segment.starts_with('{'); }

bool SamePath(const std::vector<std::string_view>& route, const Segments& segments) {
  if (route.size() + 1 != segments.count) return false;
  for (std::size_t i = route.size(); i-- > 0;) {  // the last segments differ most
    std::string_view segment = segments.at[i + 1];
    if (IsParam(route[i]) ? segment.empty() : segment != route[i]) return false;
  }
  return true;
}

bool HasQuery(std::string_view raw_query, std::string_view wanted) {
  while (!raw_query.empty()) {
    std::size_t end = std::min(raw_query.find('&'), raw_query.size());
    if (raw_query.substr(0, end) == wanted) return true;
    raw_query.remove_prefix(std::min(end + 1, raw_query.size()));
  }
  return false;
}

}  // namespace

LambdaRoutes::LambdaRoutes(const std::vector<LambdaOperation>& operations) {
  for (const LambdaOperation& operation : operations) {
    std::string_view path = operation.path;
    std::size_t mark = std::min(path.find('?'), path.size());
    Segments segments = Split(path.substr(0, mark));
    auto group = std::ranges::find(groups_, segments.at[0], &Group::date);
    if (group == groups_.end()) {
      group = groups_.insert(groups_.end(), {.date = segments.at[0], .routes = {}});
    }
    group->routes.push_back({.operation = &operation,
                             .segments = {segments.at.begin() + 1,
                                          segments.at.begin() + std::ptrdiff_t(segments.count)},
                             .query = path.substr(std::min(mark + 1, path.size()))});
  }
  for (Group& group : groups_) {  // a route that asks for a query goes before one that does not
    std::ranges::partition(group.routes, [](const Route& r) { return !r.query.empty(); });
  }
}

std::expected<RouteMatch, RouteMiss> LambdaRoutes::Match(std::string_view method,
                                                         std::string_view path,
                                                         std::string_view raw_query) const {
  if (!path.starts_with('/')) return std::unexpected(RouteMiss::kNotLambda);
  Segments segments = Split(path);
  if (segments.count == 0 || !IsDate(segments.at[0])) {
    return std::unexpected(RouteMiss::kNotLambda);
  }
  auto group = std::ranges::find(groups_, segments.at[0], &Group::date);
  if (group == groups_.end() || segments.too_many) {
    return std::unexpected(RouteMiss::kUnknownOperation);
  }
  RouteMiss miss = RouteMiss::kUnknownOperation;
  for (const Route& route : group->routes) {
    if (!SamePath(route.segments, segments)) continue;
    if (!route.query.empty() && !HasQuery(raw_query, route.query)) continue;
    miss = RouteMiss::kWrongMethod;
    if (route.operation->method != method) continue;
    RouteMatch match{.operation = route.operation, .params = {}};
    for (std::size_t i = 0; i < route.segments.size(); ++i) {
      std::string_view name = route.segments[i];
      if (!IsParam(name)) continue;
      auto value = PercentDecode(segments.at[i + 1]);
      if (!value) return std::unexpected(RouteMiss::kBadEncoding);
      match.params[match.param_count++] = {name.substr(1, name.size() - 2), *std::move(value)};
    }
    return match;
  }
  return std::unexpected(miss);
}

}  // namespace samovar
