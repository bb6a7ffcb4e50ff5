#pragma once
// The routes of Lambda's API, by the date prefix of their paths. Private to lambda_model.cc.

#include <string_view>
#include <vector>

#include "wire/lambda_model.h"

namespace samovar {

class LambdaRoutes {
 public:
  // The operations must outlive the routes.
  explicit LambdaRoutes(const std::vector<LambdaOperation>& operations);

  std::expected<RouteMatch, RouteMiss> Match(std::string_view method, std::string_view path,
                                             std::string_view raw_query) const;

 private:
  struct Route {
    const LambdaOperation* operation;
    std::vector<std::string_view> segments;  // after the date; "{Name}" is a parameter
    std::string_view query;                  // "find=LayerVersion", or ""
  };
  struct Group {
    std::string_view date;  // "2015-03-31"
    std::vector<Route> routes;
  };
  std::vector<Group> groups_;
};

}  // namespace samovar
