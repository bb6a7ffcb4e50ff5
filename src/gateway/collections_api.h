#pragma once
// CollectionsApi: Samovar's own paths for collections (docs/openapi/collections.yaml).
//
// How      Reading JSON and searching is a pool thread's work; a write waits for its sync without
//          holding one. Its answer carries the generation, which every later read here has.
//          From inside a function (collection_doors.h) the same paths, with that function's rights
//          in the place of a signature; what it may not see is not there.
// Errors   {"error", "code"}, as OwnApi.
// Threads  The event loop only.

#include <memory>
#include <string>
#include <string_view>

#include "collections/collections.h"
#include "functions/collection_access.h"
#include "gateway/gateway_core.h"

namespace samovar {

class CollectionsApi {
 public:
  CollectionsApi(GatewayCore& core, Collections& collections)
      : core_(core), collections_(collections) {}

  static bool Handles(std::string_view path);
  // `rights`: of the function that asks; null for a caller who signs.
  Task<HttpResponse> Handle(HttpRequest request, std::string id,
                            const CollectionRights* rights = nullptr);

 private:
  using Answer = Result<HttpResponse>;
  using Found = std::shared_ptr<Collection>;

  Task<Answer> Route(HttpRequest& request, const std::string& id, const CollectionRights* rights);
  Task<Answer> RouteOne(HttpRequest& request, std::string name, std::string_view rest,
                        std::string body, const std::string& id, bool inside);
  Answer List(const HttpRequest& request, const std::string& id,
              const CollectionRights* rights) const;
  Task<Answer> Create(std::string body, const std::string& id);
  Task<Answer> Describe(std::string name, const std::string& id, bool inside);
  Task<Answer> Delete(std::string name, const std::string& id);
  Task<Answer> Write(std::string name, std::string body, const std::string& id);
  Task<Answer> Search(std::string name, std::string body, const std::string& id);
  Task<Answer> Recall(std::string name, std::string body, const std::string& id);
  Task<Answer> Get(std::string name, std::string body, const std::string& id);
  Task<Answer> GetOne(HttpRequest& request, std::string name, std::string row,
                      const std::string& id);
  Task<Answer> Export(std::string name, const std::string& id);

  GatewayCore& core_;
  Collections& collections_;
};

}  // namespace samovar
