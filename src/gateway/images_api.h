#pragma once
// ImagesApi: container images over HTTP (docs/http-api.md): layers come one by one, then the
// documents of an image, under a name.
// Errors   As OwnApi's.

#include <string>
#include <string_view>

#include "gateway/gateway_core.h"
#include "instances/signal.h"

namespace samovar {

class ImagesApi {
 public:
  explicit ImagesApi(GatewayCore& core) : core_(core), unpacked_(core.parts.loop) {}

  // `path` without /samovar/v1/.
  static bool Handles(std::string_view path);
  Task<Result<HttpResponse>> Handle(HttpRequest& request, std::string_view path,
                                    PendingSignature signature, const std::string& id);

 private:
  using Answer = Result<HttpResponse>;

  Task<Answer> TakeLayer(HttpRequest& request, std::string digest, PendingSignature signature,
                         const std::string& id);
  Task<Answer> Name(std::string body, const std::string& id);
  Task<Answer> Forget(std::string name, const std::string& id);
  HttpResponse List(const std::string& id) const;

  // Each holds a thread of the pool, which others need, too.
  static constexpr int kUnpackAtATime = 2;
  static constexpr int kWaiting = 64;

  GatewayCore& core_;
  int unpacking_ = 0, waiting_ = 0;
  Signal unpacked_;
};

}  // namespace samovar
