// A request of Lambda's API: routed, then its input decoded. Lines: METHOD, PATH, QUERY, "Name:
// value" up to an empty line; then the body.

#include <boost/json/object.hpp>

#include "input.h"
#include "wire/invoke_request.h"
#include "wire/lambda_model.h"
#include "wire/runtime_api.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const LambdaModel model;
  Input input(data, size);
  std::string_view method = input.Line();
  std::string_view path = input.Line();
  std::string_view query = input.Line();
  Fields headers;
  for (std::string_view line = input.Line(); !line.empty(); line = input.Line()) {
    std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  (void)MatchRuntimeRoute(method, path);
  auto route = model.MatchRoute(method, path, query);
  if (!route) {
    (void)RouteMissError(route.error(), method, path);
    return 0;
  }
  auto decoded = model.DecodeInput(*route, query, headers, input.Rest());
  if (decoded) {
    // No member that the model does not have comes through where the registry looks for it.
    CHECK(!decoded->contains("StagedPath"));
    for (const char* name : {"Code", "Content"}) {
      auto* part = decoded->if_contains(name);
      CHECK(!part || !part->is_object() || !part->get_object().contains("StagedPath"));
    }
  } else {
    CHECK(!decoded.error().name.empty() && decoded.error().message.size() < 1'000'000);
  }
  if (route->operation->name.starts_with("Invoke")) {
    (void)ReadInvokeRequest(model, *route, query, headers);
    (void)CheckInvokePayload(input.Rest());
  }
  return 0;
}
