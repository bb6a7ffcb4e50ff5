#include "gateway/elasticsearch_api.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/encoding.h"
#include "base/ids.h"
#include "gateway/collection_write.h"
#include "gateway/reply.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kRoot = "/elasticsearch";
constexpr Bytes kMaxBody = Bytes::MiB(128);
constexpr std::string_view kBasic = "Basic ";
constexpr std::string_view kApiKey = "ApiKey ";

json::object Shards() { return {{"total", 1}, {"successful", 1}, {"failed", 0}}; }

// What a write of one document answers.
json::object Written(const std::string& index, std::string_view id, std::string_view result,
                     std::uint64_t generation) {
  return {{"_index", index},   {"_id", id},           {"_version", generation},
          {"result", result},  {"_shards", Shards()}, {"_seq_no", generation},
          {"_primary_term", 1}};
}

std::unexpected<Error> NoSuchIndex(const std::string& name) {
  return Fail(Code::kNotFound, "no such index [" + name + "]", "index_not_found_exception");
}

std::unexpected<Error> NoSuchDocument(std::string_view id) {
  return Fail(Code::kNotFound, "[" + std::string(id) + "]: document missing",
              "document_missing_exception");
}

Metric MetricOf(es::Similarity similarity) {
  if (similarity == es::Similarity::kCosine) return Metric::kCosine;
  return similarity == es::Similarity::kL2Norm ? Metric::kL2 : Metric::kDot;
}

es::Similarity SimilarityOf(Metric metric) {
  if (metric == Metric::kCosine) return es::Similarity::kCosine;
  return metric == Metric::kL2 ? es::Similarity::kL2Norm : es::Similarity::kMaxInnerProduct;
}

// Of no index.
json::object NoHits(std::string_view what) {
  json::object shards{{"total", 0}, {"successful", 0}, {"skipped", 0}, {"failed", 0}};
  if (what == "_count") return {{"count", 0}, {"_shards", std::move(shards)}};
  return {{"took", 0},
          {"timed_out", false},
          {"_shards", std::move(shards)},
          {"hits",
           {{"total", {{"value", 0}, {"relation", "eq"}}},
            {"max_score", nullptr},
            {"hits", json::array()}}}};
}

HttpResponse InItsForm(unsigned status, const json::object& body, const std::string& id) {
  HttpResponse response = JsonReply(status, body, id);
  response.headers.Set("X-elastic-product", "Elasticsearch");  // its clients refuse others
  return response;
}

}  // namespace

bool ElasticsearchApi::Handles(std::string_view path) {
  return path == kRoot || path.starts_with(std::string(kRoot) + "/");
}

Task<HttpResponse> ElasticsearchApi::Handle(HttpRequest request, std::string id) {
  auto answer = co_await Route(request);
  if (answer) co_return InItsForm(answer->status, answer->body, id);
  co_return InItsForm(es::StatusOf(answer.error()), es::ErrorBody(answer.error()), id);
}

Result<ElasticsearchApi::Asked> ElasticsearchApi::Read(const HttpRequest& request,
                                                       std::string body) const {
  Asked asked{.method = request.method, .path = {}, .body = std::move(body), .choice = {}};
  std::string_view path = request.Path().substr(kRoot.size());
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t slash = std::min(path.find('/'), path.size());
    const auto part = PercentDecode(path.substr(0, slash));
    if (!part) return Fail(Code::kInvalid, "the path is not percent-encoded as it should be");
    if (!part->empty()) asked.path.push_back(*part);
    path.remove_prefix(slash);
  }
  TRY(es::CheckParameters(es::OperationOf(asked.method, asked.path), request.Path(),
                          request.RawQuery()));
  const auto may_lack = request.Query("ignore_unavailable").value_or("false");
  asked.may_lack = may_lack == "true" || may_lack.empty();
  if (const auto type = request.Query("op_type")) asked.create = *type == "create";
  const auto said = request.Query("_source");
  const auto includes = request.Query("_source_includes");
  const auto excludes = request.Query("_source_excludes");
  const auto no_vectors = request.Query("_source_exclude_vectors");
  if (said || includes || excludes || no_vectors) {
    auto& source = asked.choice.source.emplace();
    if (said == "false") source.Nothing();
    if (said && *said != "true" && *said != "false") source.Include(*said);
    source.Include(includes.value_or(""));
    source.Exclude(excludes.value_or(""));
    if (no_vectors == "true") source.NoVectors();
  }
  if (const auto size = request.Query("size")) asked.choice.size = std::stoull(*size);
  if (const auto from = request.Query("from")) asked.choice.from = std::stoull(*from);
  return asked;
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::Route(HttpRequest& request) {
  // Its clients cannot sign: an access key is Basic's user and password, or an API key's two parts,
  // which are encoded alike.
  const auto given = request.headers.Get("Authorization");
  if (given.starts_with(kApiKey)) {
    request.headers.Set("Authorization",
                        std::string(kBasic) + std::string(given.substr(kApiKey.size())));
  }
  CO_TRY(auto signature, core_.access.CheckKeyed(request));
  BodyRoom::Lease room;
  if (const auto needs = BodyRooms::Needs(*request.body, kMaxBody)) {
    CO_TRY(room, co_await core_.bodies.Take(*needs));
  }
  CO_TRY(auto body, co_await request.body->ReadAll(kMaxBody));
  CO_TRY(FinishWithBody(signature, body));
  CO_TRY(auto asked, Read(request, std::move(body)));
  if (asked.path.empty()) co_return Info();
  const std::string& first = asked.path[0];
  if (asked.path.size() == 1 && first == "_bulk") co_return co_await Bulk(asked, "");
  const bool all = asked.path.size() == 2 && (first == "_all" || first == "*");
  if (all ? asked.path[1] == "_refresh" : asked.path.size() == 1 && first == "_refresh") {
    co_return Reply{200, {{"_shards", Shards()}}};
  }
  if (first.starts_with('_')) {
    co_return Fail(Code::kInvalid, asked.method + " /" + first + " is not supported here",
                   "illegal_argument_exception");
  }
  co_return co_await RouteIndex(asked);
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::RouteIndex(Asked& asked) {
  const std::string& name = asked.path[0];
  const std::string& method = asked.method;
  const std::string what = asked.path.size() > 1 ? asked.path[1] : "";
  if (what.empty() && method == "PUT") co_return co_await MakeIndex(asked);
  if (what.empty() && method == "DELETE") co_return co_await DropIndex(asked);
  if (what == "_bulk") co_return co_await Bulk(asked, name);
  const bool counts = what == "_search" || what == "_count";
  if (asked.may_lack && counts && !collections_.Describe(name)) co_return Reply{200, NoHits(what)};
  CO_TRY(auto index, FindIndex(name));
  if ((what.empty() || what == "_mapping") && (method == "GET" || method == "HEAD")) {
    co_return ShowIndex(index);
  }
  const bool reads = method == "GET" || method == "POST" || method == "HEAD";
  if (asked.path.size() == 2 && reads) {
    if (what == "_search") co_return co_await Search(asked, std::move(index));
    if (what == "_count") co_return co_await Count(asked, std::move(index));
    if (what == "_refresh") co_return Reply{200, {{"_shards", Shards()}}};
  }
  co_return co_await RouteDocument(asked, std::move(index));
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::RouteDocument(Asked& asked, EsIndex index) {
  const std::string& method = asked.method;
  const std::string what = asked.path.size() > 1 ? asked.path[1] : "";
  const std::string id = asked.path.size() == 3 ? asked.path[2] : "";
  const bool writes = method == "PUT" || method == "POST";
  if (what == "_doc" && method == "POST" && asked.path.size() == 2) {
    co_return co_await Put(asked, std::move(index), RandomHex(20), true);
  }
  if (what == "_doc" && writes && !id.empty()) {
    co_return co_await Put(asked, std::move(index), id, asked.create);
  }
  if (what == "_create" && writes && !id.empty()) {
    co_return co_await Put(asked, std::move(index), id, true);
  }
  if (what == "_doc" && (method == "GET" || method == "HEAD") && !id.empty()) {
    co_return Get(asked, index, id);
  }
  if (what == "_doc" && method == "DELETE" && !id.empty()) {
    co_return co_await Delete(std::move(index), id);
  }
  if (what == "_update" && method == "POST" && !id.empty()) {
    co_return co_await Update(asked, std::move(index), id);
  }
  co_return Fail(Code::kInvalid, method + " of [" + what + "] is not supported here",
                 "illegal_argument_exception");
}

Result<EsIndex> ElasticsearchApi::FindIndex(const std::string& name) const {
  auto info = collections_.Describe(name);
  if (!info) return NoSuchIndex(name);
  TRY(auto collection, collections_.Find(name));
  auto mapping = es::ReadMapping(info->about);
  if (!mapping) {
    mapping.emplace();
    mapping->similarity = SimilarityOf(info->schema.metric);
    json::object field{{"type", "dense_vector"},
                       {"dims", info->schema.dimension},
                       {"similarity", es::SimilarityName(mapping->similarity)}};
    mapping->mappings["properties"] = json::object{{mapping->field, std::move(field)}};
  }
  mapping->dimension = info->schema.dimension;
  return EsIndex{name, std::move(collection), std::move(*mapping)};
}

ElasticsearchApi::Reply ElasticsearchApi::Info() const {
  json::object version{{"number", es::kVersion},
                       {"build_flavor", "default"},
                       {"build_type", "samovar"},
                       {"build_hash", core_.parts.options.version},
                       {"build_snapshot", false},
                       {"lucene_version", "none"},
                       {"minimum_wire_compatibility_version", "7.17.0"},
                       {"minimum_index_compatibility_version", "7.0.0"}};
  return {200,
          {{"name", "samovar"},
           {"cluster_name", "samovar"},
           {"cluster_uuid", "samovar"},
           {"version", std::move(version)},
           {"tagline", "You Know, for Search"}}};
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::MakeIndex(Asked& asked) {
  const std::string name = asked.path[0];
  CO_TRY(const auto body, EsBody(asked.body));
  CO_TRY(const auto mapping, es::ReadIndex(body));
  const Schema schema{mapping.dimension, MetricOf(mapping.similarity),
                      mapping.bytes ? Storage::kI8 : Storage::kF32};
  auto make = [this, name, schema, about = es::WriteMapping(mapping)] {
    return collections_.Create(name, schema, about);
  };
  auto made = co_await RunBlocking(core_.parts.pool, std::move(make));
  if (!made && made.error().code == Code::kConflict) {
    co_return Fail(Code::kInvalid, "index [" + name + "] already exists",
                   "resource_already_exists_exception");
  }
  CO_TRY(std::move(made));
  co_return Reply{200, {{"acknowledged", true}, {"shards_acknowledged", true}, {"index", name}}};
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::DropIndex(Asked& asked) {
  const std::string name = asked.path[0];
  if (!collections_.Describe(name)) {
    if (asked.may_lack) co_return Reply{200, {{"acknowledged", true}}};
    co_return NoSuchIndex(name);
  }
  auto remove = [this, name] { return collections_.Delete(name); };
  CO_TRY(co_await RunBlocking(core_.parts.pool, std::move(remove)));
  co_return Reply{200, {{"acknowledged", true}}};
}

ElasticsearchApi::Answer ElasticsearchApi::ShowIndex(const EsIndex& index) const {
  json::object settings{{"index", {{"number_of_shards", "1"}, {"number_of_replicas", "0"}}}};
  return Reply{200,
               {{index.name,
                 {{"aliases", json::object()},
                  {"mappings", index.mapping.mappings},
                  {"settings", std::move(settings)}}}}};
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::Put(Asked& asked, EsIndex index, std::string id,
                                                     bool create) {
  CO_TRY(auto source, EsBody(asked.body));
  CO_TRY(const auto document, ReadDocument(index.mapping, std::move(source)));
  Batch batch(index.collection->Of());
  CO_TRY(PutDocument(batch, index.mapping, id, document));
  std::optional<KeyedMutex::Guard> turn;
  if (create) turn.emplace(co_await turns_.Lock(index.name));
  const bool there = index.collection->Latest().Find(id).has_value();
  if (create && there) {
    co_return Fail(Code::kConflict, "[" + id + "]: version conflict, document already exists",
                   "version_conflict_engine_exception");
  }
  CO_TRY(const Ack ack, co_await WriteBatch(core_, collections_, index.name, std::move(batch)));
  co_return Reply{there ? 200U : 201U,
                  Written(index.name, id, there ? "updated" : "created", ack.generation)};
}

ElasticsearchApi::Answer ElasticsearchApi::Get(const Asked& asked, const EsIndex& index,
                                               const std::string& id) const {
  const Snapshot snapshot = index.collection->Latest();
  const auto row = snapshot.Find(id);
  json::object body{{"_index", index.name}, {"_id", id}, {"found", row.has_value()}};
  if (!row) return Reply{404, std::move(body)};
  body["_version"] = snapshot.Generation();
  body["_seq_no"] = snapshot.Generation();
  body["_primary_term"] = 1;
  const auto shown = asked.choice.source.value_or(es::SourceChoice());
  if (shown.Any()) {
    TRY(body["_source"], EsSource(index, snapshot, *row, shown));
  }
  TRY(snapshot.Check());
  return Reply{200, std::move(body)};
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::Delete(EsIndex index, std::string id) {
  Batch batch(index.collection->Of());
  CO_TRY(batch.Delete(id));
  CO_TRY(const Ack ack, co_await WriteBatch(core_, collections_, index.name, std::move(batch)));
  const bool there = ack.deleted > 0;
  co_return Reply{there ? 200U : 404U,
                  Written(index.name, id, there ? "deleted" : "not_found", ack.generation)};
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::Update(Asked& asked, EsIndex index,
                                                        std::string id) {
  CO_TRY(auto body, EsBody(asked.body));
  CO_TRY(const auto update, es::ReadUpdate(body));
  CO_TRY(const auto change, ReadDocument(index.mapping, update.doc));
  const KeyedMutex::Guard turn = co_await turns_.Lock(index.name);
  const Snapshot snapshot = index.collection->Latest();
  const auto row = snapshot.Find(id);
  Batch batch(index.collection->Of());
  if (row) {
    CO_TRY(UpdateDocument(batch, snapshot, *row, id, change));
  } else if (update.otherwise) {
    CO_TRY(const auto whole, ReadDocument(index.mapping, *update.otherwise));
    CO_TRY(PutDocument(batch, index.mapping, id, whole));
  } else {
    co_return NoSuchDocument(id);
  }
  CO_TRY(const Ack ack, co_await WriteBatch(core_, collections_, index.name, std::move(batch)));
  co_return Reply{row ? 200U : 201U,
                  Written(index.name, id, row ? "updated" : "created", ack.generation)};
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::Search(Asked& asked, EsIndex index) {
  ++core_.searches;
  CO_TRY(auto quick, EsSearchQuickly(index, asked.body, asked.choice));
  ++core_.searches;
  if (quick) co_return Reply{200, std::move(*quick)};
  auto search = [index = std::move(index), body = std::move(asked.body),
                 choice = std::move(asked.choice)] { return EsSearchNow(index, body, choice); };
  CO_TRY(auto found, co_await RunBlocking(core_.parts.pool, std::move(search)));
  co_return Reply{200, std::move(found)};
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::Count(Asked& asked, EsIndex index) {
  auto count = [index = std::move(index), body = std::move(asked.body)] {
    return EsCountNow(index, body);
  };
  CO_TRY(const auto number, co_await RunBlocking(core_.parts.pool, std::move(count)));
  json::object shards = Shards();
  shards["skipped"] = 0;
  co_return Reply{200, {{"count", number}, {"_shards", std::move(shards)}}};
}

}  // namespace samovar
