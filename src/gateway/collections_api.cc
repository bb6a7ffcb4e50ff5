#include "gateway/collections_api.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <iterator>

#include "base/encoding.h"
#include "gateway/collection_search.h"
#include "gateway/collection_write.h"
#include "gateway/collections_json.h"
#include "gateway/reply.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kRoot = "/samovar/v1/collections";
constexpr Bytes kMaxBody = Bytes::MiB(128);   // of a batch, in base64 or as numbers
constexpr Bytes kMaxInside = Bytes::MiB(16);  // of one that a function sends
constexpr std::size_t kExportPiece = 256 << 10;
// A batch that takes no longer is read on the loop: the way to the pool and back takes two threads
// that have to wake, and on busy processors each may wait for a tick.
constexpr std::chrono::microseconds kQuickBatch{200};

std::unexpected<Error> NoSuchPath(const HttpRequest& request) {
  return Fail(Code::kNotFound,
              "there is no " + request.method + " " + std::string(request.Path()) +
                  " (docs/openapi/collections.yaml lists the paths)",
              "NoSuchPath");
}

// Whether a function with these rights may ask for `rest` of a collection.
Result<void> CheckRights(const CollectionRights& rights, const std::string& method,
                         const std::string& name, std::string_view rest) {
  if (!rights.MayRead(name)) {
    return Fail(Code::kNotFound, "there is no collection " + name + " that may be seen here",
                "NoSuchCollection");
  }
  const bool read = method == "GET" || rest == "search" || rest == "get";
  if (read) return {};
  if (rest.empty()) {
    return Fail(Code::kDenied, "a function cannot make or delete collections", "ReadOnly");
  }
  if (rights.MayWrite(name)) return {};
  return Fail(Code::kDenied,
              "this function may read " + name + ", not write it: its tag " +
                  std::string(kCollectionsTag) + " has to say " + name + ":rw",
              "ReadOnly");
}

HttpResponse NoContent(const std::string& id) {
  HttpResponse response;
  response.status = 204;
  response.headers.Add(kRequestIdField, id);
  return response;
}

Result<json::object> GetNow(const Collection& collection, const GetRequest& asked) {
  TRY(const auto snapshot, SnapshotOf(collection, asked.min_generation));
  json::array rows;
  json::array missing;
  for (const std::string& id : asked.ids) {
    if (const auto row = snapshot.Find(id)) {
      TRY(auto object, RowJson(snapshot, *row, true));
      rows.push_back(std::move(object));
    } else {
      missing.emplace_back(id);
    }
  }
  TRY(snapshot.Check());
  return json::object{{"generation", snapshot.Generation()},
                      {"rows", std::move(rows)},
                      {"missing", std::move(missing)}};
}

// One generation's rows, a line each, a piece at a time.
struct ExportState {
  Snapshot snapshot;
  std::optional<RowRef> last;
  bool done = false;
};

Result<std::optional<std::string>> NextPiece(ExportState& state) {
  std::string piece;
  while (!state.done && piece.size() < kExportPiece) {
    state.last = state.snapshot.Next(state.last);
    state.done = !state.last;
    if (state.done) break;
    TRY(const auto row, RowJson(state.snapshot, *state.last, true));
    piece += json::serialize(row);
    piece += '\n';
  }
  TRY(state.snapshot.Check());
  if (piece.empty()) return std::optional<std::string>();
  return piece;
}

}  // namespace

bool CollectionsApi::Handles(std::string_view path) {
  return path == kRoot || path.starts_with(std::string(kRoot) + "/");
}

Task<HttpResponse> CollectionsApi::Handle(HttpRequest request, std::string id,
                                          const CollectionRights* rights) {
  auto answer = co_await Route(request, id, rights);
  if (answer) co_return std::move(*answer);
  co_return OwnError(answer.error(), id);
}

Task<CollectionsApi::Answer> CollectionsApi::Route(HttpRequest& request, const std::string& id,
                                                   const CollectionRights* rights) {
  PendingSignature signature;
  if (!rights) {
    CO_TRY(signature, core_.access.Check(request));
  }
  BodyRoom::Lease room;
  if (const auto needs = BodyRooms::Needs(*request.body, rights ? kMaxInside : kMaxBody)) {
    CO_TRY(room, co_await core_.bodies.Take(*needs));
  }
  CO_TRY(auto body, co_await request.body->ReadAll(rights ? kMaxInside : kMaxBody));
  CO_TRY(FinishWithBody(signature, body));
  std::string_view path = request.Path().substr(kRoot.size());
  if (path.empty()) {
    if (request.method == "GET") co_return List(request, id, rights);
    if (rights) co_return Fail(Code::kDenied, "a function cannot make collections", "ReadOnly");
    if (request.method == "POST") co_return co_await Create(std::move(body), id);
    co_return NoSuchPath(request);
  }
  path.remove_prefix(1);
  const std::size_t slash = path.find('/');
  const auto name = PercentDecode(path.substr(0, slash));
  if (!name) co_return NoSuchPath(request);
  const std::string_view rest = slash == path.npos ? "" : path.substr(slash + 1);
  if (rights) CO_TRY(CheckRights(*rights, request.method, *name, rest));
  co_return co_await RouteOne(request, rights ? rights->Stored(*name) : *name, rest,
                              std::move(body), id, rights != nullptr);
}

Task<CollectionsApi::Answer> CollectionsApi::RouteOne(HttpRequest& request, std::string name,
                                                      std::string_view rest, std::string body,
                                                      const std::string& id, bool inside) {
  const std::string& method = request.method;
  if (rest.empty() && method == "GET") co_return co_await Describe(std::move(name), id, inside);
  if (rest.empty() && method == "DELETE") co_return co_await Delete(std::move(name), id);
  if (method == "POST" && rest == "batch") {
    co_return co_await Write(std::move(name), std::move(body), id);
  }
  if (method == "POST" && rest == "search") {
    co_return co_await Search(std::move(name), std::move(body), id);
  }
  if (method == "POST" && rest == "get") {
    co_return co_await Get(std::move(name), std::move(body), id);
  }
  if (method == "POST" && rest == "recall") {
    co_return co_await Recall(std::move(name), std::move(body), id);
  }
  if (method == "GET" && rest == "export") co_return co_await Export(std::move(name), id);
  if (rest.starts_with("rows/") && rest.size() > 5 && rest.find('/', 5) == rest.npos) {
    const auto row = PercentDecode(rest.substr(5));
    if (row && method == "GET") co_return co_await GetOne(request, std::move(name), *row, id);
    if (row && method == "DELETE") {
      const json::object change{{"op", "delete"}, {"id", *row}};
      co_return co_await Write(std::move(name),
                               json::serialize(json::object{{"changes", {change}}}), id);
    }
  }
  co_return NoSuchPath(request);
}

namespace {

using PinUsers = std::map<std::string, std::vector<std::string>>;

json::array UsersOf(const PinUsers& users, const std::string& pin) {
  const auto found = users.find(pin);
  if (found == users.end()) return {};
  return json::array(found->second.begin(), found->second.end());
}

}  // namespace

CollectionsApi::Answer CollectionsApi::List(const HttpRequest& request, const std::string& id,
                                            const CollectionRights* rights) const {
  TRY(const auto limit, ParseLimit(request.Query("limit").value_or("1000")));
  std::string after = request.Query("marker").value_or("");
  std::vector<CollectionInfo> page;  // and the first of the next one
  for (bool more = true; more && page.size() <= limit;) {
    auto next = collections_.List(after, limit + 1);
    more = next.size() > limit;
    if (more) after = next.back().name;
    if (rights) std::erase_if(next, [&](const auto& info) { return !rights->MayRead(info.name); });
    std::ranges::move(next, std::back_inserter(page));
  }
  json::object answer;
  if (page.size() > limit) {
    page.resize(limit);
    answer["next_marker"] = page.back().name;
  }
  json::array rows;
  // Who keeps a generation is no business of a function's.
  const PinUsers users = rights ? PinUsers() : core_.parts.registry.Pins();
  for (const auto& info : page) {
    json::object row = InfoJson(info);
    if (!rights && IsPinName(info.name)) row["pinned_by"] = UsersOf(users, info.name);
    rows.push_back(std::move(row));
  }
  answer["collections"] = std::move(rows);
  return JsonReply(200, answer, id);
}

Task<CollectionsApi::Answer> CollectionsApi::Create(std::string body, const std::string& id) {
  CO_TRY(auto asked, ParseCreate(body));
  auto make = [this, asked = std::move(asked)] {
    return collections_.Create(asked.name, asked.schema);
  };
  CO_TRY(const auto made, co_await RunBlocking(core_.parts.pool, std::move(make)));
  co_return JsonReply(201, InfoJson(made), id);
}

Task<CollectionsApi::Answer> CollectionsApi::Describe(std::string name, const std::string& id,
                                                      bool inside) {
  CO_TRY(const auto info, collections_.Describe(name));
  json::object object = InfoJson(info);
  const PinUsers users = inside ? PinUsers() : core_.parts.registry.Pins();
  if (!inside && IsPinName(name)) object["pinned_by"] = UsersOf(users, name);
  json::array pins;
  for (const auto& other : inside ? std::vector<CollectionInfo>() : collections_.PinsOf(name)) {
    pins.push_back(json::object{{"name", other.name}, {"pinned_by", UsersOf(users, other.name)}});
  }
  if (!pins.empty()) object["pins"] = std::move(pins);
  if (const auto found = collections_.Find(name)) {
    // A writer may hold what counts for the time of a sync.
    auto look = [collection = *found] { return collection->Stats(); };
    object["stats"] = StatsJson(co_await RunBlocking(core_.parts.pool, std::move(look)));
  }
  co_return JsonReply(200, object, id);
}

Task<CollectionsApi::Answer> CollectionsApi::Delete(std::string name, const std::string& id) {
  auto remove = [this, name] { return collections_.Delete(name); };
  CO_TRY(co_await RunBlocking(core_.parts.pool, std::move(remove)));
  co_return NoContent(id);
}

Task<CollectionsApi::Answer> CollectionsApi::Write(std::string name, std::string body,
                                                   const std::string& id) {
  CO_TRY(const Found found, collections_.Find(name));
  const bool quick = ParsingTime(body) <= kQuickBatch;
  auto parse = [found, body = std::move(body)] { return ParseBatch(found->Of(), body); };
  auto parsed = quick ? parse() : co_await RunBlocking(core_.parts.pool, std::move(parse));
  CO_TRY(auto batch, std::move(parsed));
  CO_TRY(const auto ack,
         co_await WriteBatch(core_, collections_, std::move(name), std::move(batch)));
  co_return JsonReply(200, AckJson(ack), id);
}

Task<CollectionsApi::Answer> CollectionsApi::Search(std::string name, std::string body,
                                                    const std::string& id) {
  CO_TRY(const Found found, collections_.Find(name));
  ++core_.searches;
  auto answer = co_await SearchCollection(core_.parts.pool, found, std::move(body));
  ++core_.searches;
  CO_TRY(std::string text, std::move(answer));
  co_return JsonTextReply(200, std::move(text), id);
}

Task<CollectionsApi::Answer> CollectionsApi::Recall(std::string name, std::string body,
                                                    const std::string& id) {
  CO_TRY(const Found found, collections_.Find(name));
  CO_TRY(const auto asked, ParseRecall(body));
  auto measure = [found, asked] { return MeasureRecall(found->Latest(), asked.queries, asked.k); };
  CO_TRY(const auto recall, co_await RunBlocking(core_.parts.pool, std::move(measure)));
  co_return JsonReply(200,
                      {{"recall", recall.found},
                       {"queries", recall.queries},
                       {"k", asked.k},
                       {"generation", recall.generation}},
                      id);
}

Task<CollectionsApi::Answer> CollectionsApi::Get(std::string name, std::string body,
                                                 const std::string& id) {
  CO_TRY(const Found found, collections_.Find(name));
  CO_TRY(auto asked, ParseGet(body));
  auto get = [found, asked = std::move(asked)] { return GetNow(*found, asked); };
  CO_TRY(const auto answer, co_await RunBlocking(core_.parts.pool, std::move(get)));
  co_return JsonReply(200, answer, id);
}

Task<CollectionsApi::Answer> CollectionsApi::GetOne(HttpRequest& request, std::string name,
                                                    std::string row, const std::string& id) {
  CO_TRY(const Found found, collections_.Find(name));
  CO_TRY(const auto least, ParseGeneration(request.Query("min_generation").value_or("0")));
  CO_TRY(const auto snapshot, SnapshotOf(*found, least));
  const auto where = snapshot.Find(row);
  if (!where)
    co_return Fail(Code::kNotFound, "there is no row " + row + " in " + name, "NoSuchRow");
  CO_TRY(auto object, RowJson(snapshot, *where, true));
  object["generation"] = snapshot.Generation();
  co_return JsonReply(200, object, id);
}

Task<CollectionsApi::Answer> CollectionsApi::Export(std::string name, const std::string& id) {
  CO_TRY(const Found found, collections_.Find(name));
  auto state = std::make_shared<ExportState>(ExportState{found->Latest(), {}, false});
  HttpResponse response;
  response.headers.Add("Content-Type", "application/x-ndjson");
  response.headers.Add("X-Samovar-Generation", std::to_string(state->snapshot.Generation()));
  response.headers.Add(kRequestIdField, id);
  auto next = [state, &pool = core_.parts.pool]() -> Task<Result<std::optional<std::string>>> {
    return RunBlocking(pool, [state] { return NextPiece(*state); });
  };
  response.stream = std::move(next);
  co_return response;
}

}  // namespace samovar
