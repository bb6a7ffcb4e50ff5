#pragma once
// InferenceApi: the Open Inference Protocol v2 over HTTP, under /v2.
// Errors   {"error": "..."}.
// Source   github.com/kserve/open-inference-protocol; Triton's binary tensor and repository
//          extensions.

#include <string>

#include "gateway/model_door.h"
#include "wire/open_inference.h"

namespace samovar {

class InferenceApi {
 public:
  explicit InferenceApi(GatewayCore& core) : core_(core), door_(core) {}

  Task<HttpResponse> Handle(HttpRequest request, Result<InferenceRoute> route, std::string id);

 private:
  using Answer = Result<HttpResponse>;

  Task<Answer> Route(HttpRequest& request, const InferenceRoute& route, const std::string& id);
  Task<Answer> Infer(HttpRequest& request, const InferenceRoute& route, std::string body,
                     std::shared_ptr<const void> room, const std::string& id);
  Task<Answer> Index(std::string body, const std::string& id);

  GatewayCore& core_;
  ModelDoor door_;
};

// What GET /v2 and ServerMetadata answer.
boost::json::object InferenceServerMetadata(std::string_view version);

}  // namespace samovar
