// An HTTP request to a function URL: its event is always JSON; CORS never trips. Lines: METHOD,
// PATH, QUERY, "Name: value" up to an empty line; then the body.

#include <boost/json/parse.hpp>

#include "base/error.h"
#include "input.h"
#include "wire/function_url.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  UrlRequest request;
  request.method = "GET";
  (void)input.Line();
  request.path = input.Line();
  request.raw_query = input.Line();
  Fields headers;
  for (std::string_view line = input.Line(); !line.empty(); line = input.Line()) {
    std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  request.headers = headers;
  request.body = input.Rest();
  boost::json::error_code error;
  boost::json::value event = boost::json::parse(UrlEvent(request), error);
  CHECK(!error && event.at("version") == "2.0");

  CorsPolicy policy;
  policy.allow_origins = {"https://a.example"};
  policy.allow_methods = {"*"};
  policy.allow_headers = {"x-a"};
  Fields answer;
  (void)PreflightAnswer(policy, headers);
  ApplyCors(policy, headers, answer);
  bool ours = FieldOr(headers, "origin") == "https://a.example";
  CHECK(ours || answer.empty() || SameFieldName(FieldOr(headers, "origin"), "https://a.example"));
  return 0;
}
