#pragma once
// SageMakerApi: SageMaker's control operations (X-Amz-Target: SageMaker.X) and its runtime
// (/endpoints/NAME/invocations).
// Errors   ValidationException and so on in JSON 1.1; the runtime's ValidationError, ModelError...
// Source   botocore's service models of sagemaker and sagemaker-runtime.

#include <string>

#include "functions/endpoints.h"
#include "gateway/model_door.h"
#include "wire/endpoint_call.h"
#include "wire/sagemaker_model.h"

namespace samovar {

class SageMakerApi {
 public:
  SageMakerApi(GatewayCore& core, Endpoints& endpoints)
      : core_(core), endpoints_(endpoints), door_(core) {}

  // Whether a request, signed for SageMaker or for nothing, is one.
  static bool Handles(const HttpRequest& request);
  Task<HttpResponse> Handle(HttpRequest request, std::string id);

 private:
  // A picked variant, with the invocation that answers the call.
  struct Prepared {
    EndpointCall call;
    std::string variant;
    bool wrapped = false;  // the event is an HTTP request's
    Invocation invocation;
  };

  Task<Result<HttpResponse>> Control(HttpRequest& request, const std::string& id);
  Task<Result<HttpResponse>> Runtime(HttpRequest& request, EndpointCall call,
                                     const std::string& id);
  Task<Result<Prepared>> Prepare(HttpRequest& request, EndpointCall call, std::string body,
                                 const std::string& id);
  Task<Result<HttpResponse>> Call(Prepared prepared);
  Task<Result<HttpResponse>> CallStreaming(Prepared prepared);
  HttpResponse ModelFailed(const FunctionFailure& failure, const Version& version,
                           const std::string& id) const;

  GatewayCore& core_;
  Endpoints& endpoints_;
  ModelDoor door_;
  SageMakerModel model_;
};

}  // namespace samovar
