#pragma once
// InvokeApi: Invoke, InvokeAsync and InvokeWithResponseStream.
// Errors   Lambda's, as the body; a function's own error is a 200 with X-Amz-Function-Error.

#include <string>

#include "gateway/gateway_core.h"
#include "wire/invoke_request.h"

namespace samovar {

class InvokeApi {
 public:
  explicit InvokeApi(GatewayCore& core) : core_(core) {}

  static bool Handles(const LambdaOperation& operation);
  Task<HttpResponse> Handle(HttpRequest request, RouteMatch route, std::string id);

 private:
  Task<Result<HttpResponse>> Answer(HttpRequest& request, const RouteMatch& route,
                                    const std::string& id);
  Task<Result<std::string>> ReadEvent(HttpRequest& request, const InvokeRequest& asked);
  Task<Result<HttpResponse>> Call(Invocation invocation);
  Task<Result<HttpResponse>> CallStreaming(Invocation invocation);

  GatewayCore& core_;
};

// The trace id of an invocation: the caller's, or one made from the request's id.
std::string TraceOf(std::string_view sent, std::string_view request_id, WallTime now);

}  // namespace samovar
