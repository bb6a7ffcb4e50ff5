#pragma once
// FunctionUrlApi: a function behind a URL of its own: http://ID.lambda-url.REGION.SUFFIX/... by its
// host, or http://HOST/function-url/ID/... where no such name resolves.
//
// Errors   As AWS: 403 {"Message": "Forbidden..."} with a Hint of ours, 404 for no such URL, 413,
//          429, 502 for what the function did wrong.

#include <optional>
#include <string>

#include "functions/registry.h"
#include "gateway/gateway_core.h"
#include "wire/function_url.h"

namespace samovar {

// Where a request for a function URL points.
struct UrlTarget {
  std::string id;
  std::string path;         // what the function sees, still encoded
  std::string domain_name;  // the host it was called by
};

class FunctionUrlApi {
 public:
  explicit FunctionUrlApi(GatewayCore& core) : core_(core) {}

  // nullopt where the request is not for a function URL.
  static std::optional<UrlTarget> Match(const HttpRequest& request);
  Task<HttpResponse> Handle(HttpRequest request, UrlTarget target, std::string id);

 private:
  Task<Result<HttpResponse>> Answer(HttpRequest& request, const UrlTarget& target,
                                    const FunctionUrl& url, const std::string& id);
  Result<PendingSignature> Authorize(const HttpRequest& request, const FunctionUrl& url);
  Task<Result<HttpResponse>> Call(Invocation invocation);
  Task<Result<HttpResponse>> CallStreaming(Invocation invocation);

  GatewayCore& core_;
};

}  // namespace samovar
