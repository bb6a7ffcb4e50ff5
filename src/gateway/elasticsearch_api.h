#pragma once
// ElasticsearchApi: collections in the shape of Elasticsearch's vector search, for its clients
// (docs/elasticsearch.md says what of it there is).
//
// How      An index is a collection whose mapping names the field with the vector; a document is a
//          row, its other fields are the attributes. Collections that were made elsewhere are
//          indices too, with the field `vector`. What has to look before it writes (_create, an
//          _update) takes its turn among such writes of the index.
// Errors   {"error": {"type", "reason"}, "status"}, as Elasticsearch.
// Threads  The event loop only.

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "collections/collections.h"
#include "functions/keyed_mutex.h"
#include "gateway/gateway_core.h"
#include "wire/elasticsearch.h"

namespace samovar {

struct EsIndex {
  std::string name;
  std::shared_ptr<Collection> collection;
  es::Mapping mapping;
};

// A document in two parts.
struct EsDocument {
  std::optional<std::vector<float>> vector;
  boost::json::object attributes;
};
Result<EsDocument> ReadDocument(const es::Mapping& mapping, boost::json::object source);
// Refuses a document without its vector.
Result<void> PutDocument(Batch& batch, const es::Mapping& mapping, std::string_view id,
                         const EsDocument& document);
// What an update has to look at the row for: its vector comes along, or an object in it is merged.
bool NeedsRow(const EsDocument& change);
// A partial document over the row that is there.
Result<void> UpdateDocument(Batch& batch, const Snapshot& snapshot, RowRef row, std::string_view id,
                            const EsDocument& change);

// What a search's query string says in the place of its body.
struct EsChoice {
  std::optional<es::SourceChoice> source;
  std::optional<std::uint64_t> size;
  std::optional<std::uint64_t> from;
};

class ElasticsearchApi {
 public:
  ElasticsearchApi(GatewayCore& core, Collections& collections)
      : core_(core), collections_(collections) {}

  static bool Handles(std::string_view path);
  Task<HttpResponse> Handle(HttpRequest request, std::string id);

 private:
  struct Reply {
    unsigned status = 200;
    boost::json::object body;
  };
  using Answer = Result<Reply>;
  // One request, taken apart.
  struct Asked {
    std::string method;
    std::vector<std::string> path;  // "movies", "_doc", "7"
    std::string body;
    EsChoice choice;
    bool create = false;    // op_type=create
    bool may_lack = false;  // ignore_unavailable: an index that is not there has nothing
  };

  Result<Asked> Read(const HttpRequest& request, std::string body) const;
  Task<Answer> Route(HttpRequest& request);
  Task<Answer> RouteIndex(Asked& asked);
  Task<Answer> RouteDocument(Asked& asked, EsIndex index);
  Result<EsIndex> FindIndex(const std::string& name) const;

  Reply Info() const;
  Task<Answer> MakeIndex(Asked& asked);
  Task<Answer> DropIndex(Asked& asked);
  Answer ShowIndex(const EsIndex& index) const;
  Task<Answer> Put(Asked& asked, EsIndex index, std::string id, bool create);
  Answer Get(const Asked& asked, const EsIndex& index, const std::string& id) const;
  Task<Answer> Delete(EsIndex index, std::string id);
  Task<Answer> Update(Asked& asked, EsIndex index, std::string id);
  Task<Answer> Search(Asked& asked, EsIndex index);
  Task<Answer> Count(Asked& asked, EsIndex index);
  Task<Answer> Bulk(Asked& asked, std::string index);

  GatewayCore& core_;
  Collections& collections_;
  KeyedMutex turns_;  // by index
};

// elasticsearch_search.cc: on a pool thread.
Result<boost::json::object> EsSearchNow(const EsIndex& index, const std::string& body,
                                        const EsChoice& choice);
// nullopt: it may take longer than others should wait for it.
Result<std::optional<boost::json::object>> EsSearchQuickly(const EsIndex& index,
                                                           const std::string& body,
                                                           const EsChoice& choice);
Result<std::uint64_t> EsCountNow(const EsIndex& index, const std::string& body);
// A document as it is shown.
Result<boost::json::object> EsSource(const EsIndex& index, const Snapshot& snapshot, RowRef row,
                                     const es::SourceChoice& choice);
Result<boost::json::object> EsBody(const std::string& body);  // {} where there is none

}  // namespace samovar
