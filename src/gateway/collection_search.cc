#include "gateway/collection_search.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cmath>
#include <iterator>

#include "gateway/collections_json.h"

namespace samovar {
namespace {

namespace json = boost::json;

// As Boost.JSON has it where it is not finite.
void AddScore(std::string& out, float score) {
  if (std::isfinite(score)) {
    fmt::format_to(std::back_inserter(out), "{}", static_cast<double>(score));
  } else {
    out += json::serialize(json::value(score));
  }
}

// Attributes go as they are stored: a JSON object in one spelling.
Result<void> AddHit(std::string& out, const Snapshot& snapshot, const Hit& hit, bool vectors) {
  if (vectors) {
    TRY(auto row, RowJson(snapshot, hit.row, true));
    row["score"] = hit.score;
    out += json::serialize(row);
    return {};
  }
  TRY(const auto attributes, snapshot.Attributes(hit.row));
  out += R"({"id":)";
  out += json::serialize(json::string_view(snapshot.Id(hit.row)));
  out += R"(,"attributes":)";
  out += attributes.empty() ? "{}" : attributes;
  out += R"(,"score":)";
  AddScore(out, hit.score);
  out += '}';
  return {};
}

Result<std::string> Answer(const Snapshot& snapshot, const std::vector<Hit>& hits, bool vectors) {
  std::string out = fmt::format(R"({{"generation":{},"hits":[)", snapshot.Generation());
  for (const Hit& hit : hits) {
    if (out.back() == '}') out += ',';
    TRY(AddHit(out, snapshot, hit, vectors));
  }
  out += "]}";
  TRY(snapshot.Check());
  return out;
}

Result<std::string> SearchNow(const Collection& collection, const SearchRequest& asked) {
  TRY(const auto snapshot, SnapshotOf(collection, asked.min_generation));
  TRY(const auto hits, snapshot.Search(asked.vector, asked.k, asked.filter, asked.options));
  return Answer(snapshot, hits, asked.vectors);
}

// nullopt: it may take longer.
Result<std::optional<std::string>> SearchQuickly(const Collection& collection,
                                                 const SearchRequest& asked) {
  std::optional<std::string> none;
  if (!asked.filter.All() || asked.vectors || asked.k > kFewHits) return none;
  TRY(const auto snapshot, SnapshotOf(collection, asked.min_generation));
  TRY(const auto hits, snapshot.SearchWithin(kQuickly, asked.vector, asked.k, asked.options));
  if (!hits || !IsShortAnswer(snapshot, *hits)) return none;
  return Answer(snapshot, *hits, false);
}

}  // namespace

bool IsShortAnswer(const Snapshot& snapshot, const std::vector<Hit>& hits) {
  std::size_t bytes = 0;
  for (const Hit& hit : hits) bytes += snapshot.Attributes(hit.row).value_or("").size();
  return bytes <= kShortAnswer;
}

Result<Snapshot> SnapshotOf(const Collection& collection, std::uint64_t min_generation) {
  Snapshot snapshot = collection.Latest();
  if (snapshot.Generation() >= min_generation) return snapshot;
  return Fail(Code::kPrecondition,
              "min_generation: the newest generation is " + std::to_string(snapshot.Generation()));
}

Task<Result<std::string>> SearchCollection(BlockingPool& pool,
                                           std::shared_ptr<Collection> collection,
                                           std::string body) {
  if (body.size() > kShortBody) {
    auto all = [collection, body = std::move(body)]() -> Result<std::string> {
      TRY(const auto asked, ParseSearch(collection->Of(), body));
      return SearchNow(*collection, asked);
    };
    co_return co_await RunBlocking(pool, std::move(all));
  }
  CO_TRY(auto asked, ParseSearch(collection->Of(), body));
  CO_TRY(auto quick, SearchQuickly(*collection, asked));
  if (quick) co_return std::move(*quick);
  auto search = [collection, asked = std::move(asked)] { return SearchNow(*collection, asked); };
  co_return co_await RunBlocking(pool, std::move(search));
}

}  // namespace samovar
