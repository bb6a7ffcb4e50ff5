#pragma once
// OwnApi: Samovar's own paths (docs/http-api.md): health, metrics, usage, instances, logs,
// runtimes, configuration, uploads, packages, keys.
// Errors   {"error", "code"}.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/gateway_core.h"
#include "gateway/images_api.h"

namespace samovar {

class OwnApi {
 public:
  explicit OwnApi(GatewayCore& core) : core_(core), images_(core) {}

  static bool Handles(std::string_view path);
  Task<HttpResponse> Handle(HttpRequest request, std::string id);

 private:
  using Answer = Result<HttpResponse>;

  Task<Answer> Route(HttpRequest& request, const std::string& id);
  Task<Answer> RouteSigned(HttpRequest& request, const std::string& id);
  Task<Result<std::string>> ReadSmall(HttpRequest& request, PendingSignature signature);

  HttpResponse Health(const std::string& id) const;
  HttpResponse Metrics(const std::string& id) const;
  HttpResponse Usage(const HttpRequest& request, const std::string& id) const;
  HttpResponse Instances(const std::string& id) const;
  HttpResponse Runtimes(const std::string& id) const;
  Task<Answer> Logs(HttpRequest& request, std::string function, const std::string& id);
  // Streams a body to a staging file and answers what `take` makes of it.
  using Take = std::function<Result<boost::json::object>(const std::string& staged_path)>;
  Task<Answer> Receive(HttpRequest& request, PendingSignature signature, Bytes bound, Take take,
                       const std::string& id);
  // PUT /uploads, /files, /manifests; nullopt for another path.
  std::optional<Take> TakerOf(std::string_view path) const;
  Task<Answer> ListPackages(const std::string& id);
  Task<Answer> PrunePackages(const std::string& id);
  Task<Answer> FindUpload(std::string hash, const std::string& id);
  Task<Answer> Package(std::string hash, const std::string& id);
  Task<Answer> Lock(HttpRequest& request, std::string function, const std::string& id);
  HttpResponse Warnings(const HttpRequest& request, const std::string& function,
                        const std::string& id) const;
  HttpResponse ListKeys(const std::string& id) const;
  Task<Answer> CreateKey(std::string body, const std::string& id);
  Task<Answer> DeleteKey(std::string key, const std::string& id);

  GatewayCore& core_;
  ImagesApi images_;
};

}  // namespace samovar
