#pragma once
// ControlApi: every Lambda operation but the invoking ones: decode, execute, encode.
//
// How      A package in the request goes to a staging file while it arrives, so that memory stays
//          flat whatever its size; all else of the request is small and bounded.
// Errors   Lambda's.

#include <boost/json/object.hpp>
#include <string>

#include "gateway/gateway_core.h"
#include "gateway/staging_writer.h"

namespace samovar {

class ControlApi {
 public:
  explicit ControlApi(GatewayCore& core) : core_(core) {}

  Task<HttpResponse> Handle(HttpRequest request, RouteMatch route, std::string id);

 private:
  // A request's body, its package taken out.
  struct Received {
    std::string json;
    std::unique_ptr<StagingWriter> package;  // null where there was none
  };

  Task<Result<HttpResponse>> Answer(HttpRequest& request, const RouteMatch& route,
                                    const std::string& id);
  Task<Result<Received>> Receive(HttpRequest& request, const LambdaOperation& operation,
                                 PendingSignature signature);
  Task<Result<Received>> ReceivePackage(HttpRequest& request, const LambdaOperation& operation,
                                        PendingSignature signature);
  // Makes the package's location a URL that whoever asked can fetch.
  void CompleteLocation(boost::json::object& output, const HttpRequest& request,
                        const PendingSignature& signature) const;

  GatewayCore& core_;
};

}  // namespace samovar
