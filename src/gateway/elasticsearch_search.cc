// ElasticsearchApi, its part that reads.

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <chrono>

#include "gateway/collection_search.h"
#include "gateway/collections_json.h"
#include "gateway/elasticsearch_api.h"

namespace samovar {

namespace json = boost::json;

namespace {

struct Found {
  std::vector<Hit> hits;  // score: as Elasticsearch has it
  std::uint64_t total = 0;
};

// `most`: of its time; nullopt where it would take more.
using Most = std::optional<std::chrono::nanoseconds>;
Result<std::optional<Found>> Nearest(const EsIndex& index, const Snapshot& snapshot,
                                     const es::Knn& knn, Most most) {
  if (knn.field != index.mapping.field) {
    return Fail(Code::kInvalid,
                "failed to create query: field [" + knn.field + "] does not exist in the mapping",
                "query_shard_exception");
  }
  const std::uint32_t dimension = snapshot.Of().dimension;
  if (knn.vector.size() != dimension) {
    return Fail(Code::kInvalid,
                "failed to create query: the query vector has a different dimension [" +
                    std::to_string(knn.vector.size()) + "] than the index vectors [" +
                    std::to_string(dimension) + "]",
                "query_shard_exception");
  }
  Found found;
  if (knn.filter == es::kNothing) return found;
  Filter filter;
  if (!knn.filter.empty()) {
    TRY(filter, Filter::Parse(knn.filter));
  }
  if (most) {
    if (!filter.All() || knn.k > kFewHits) return std::nullopt;
    TRY(auto hits, snapshot.SearchWithin(*most, knn.vector, knn.k, {.candidates = knn.candidates}));
    if (!hits || !IsShortAnswer(snapshot, *hits)) return std::nullopt;
    found.hits = std::move(*hits);
  } else {
    TRY(found.hits, snapshot.Search(knn.vector, knn.k, filter, {.candidates = knn.candidates}));
  }
  const bool distance = index.mapping.similarity == es::Similarity::kL2Norm;
  if (knn.similarity) {
    std::erase_if(found.hits, [&](const Hit& hit) {
      return distance ? hit.score > *knn.similarity : hit.score < *knn.similarity;
    });
  }
  for (Hit& hit : found.hits) {
    hit.score = static_cast<float>(es::ScoreOf(index.mapping.similarity, hit.score) * knn.boost);
  }
  found.total = found.hits.size();
  return found;
}

// Rows in the order of storage, as none is nearer than another. At most `most` are kept.
Result<Found> Fitting(const Snapshot& snapshot, const std::string& text, std::uint64_t most) {
  Found found;
  if (text == es::kNothing) return found;
  Filter filter;
  if (!text.empty()) {
    TRY(filter, Filter::Parse(text));
  }
  for (auto row = snapshot.Next(std::nullopt); row; row = snapshot.Next(row)) {
    if (!filter.All()) {
      TRY(const auto attributes, snapshot.Attributes(*row));
      if (!filter.Matches(attributes)) continue;
    }
    ++found.total;
    if (found.hits.size() < most) found.hits.push_back({*row, 1});
  }
  return found;
}

Found Named(const Snapshot& snapshot, const std::vector<std::string>& ids) {
  Found found;
  for (const std::string& id : ids) {
    if (const auto row = snapshot.Find(id)) found.hits.push_back({*row, 1});
  }
  found.total = found.hits.size();
  return found;
}

}  // namespace

Result<json::object> EsBody(const std::string& body) {
  if (body.find_first_not_of(" \t\r\n") == body.npos) return json::object();
  auto object = ParseBody(body);
  if (!object) object.error().name = "parsing_exception";
  return object;
}

Result<json::object> EsSource(const EsIndex& index, const Snapshot& snapshot, RowRef row,
                              const es::SourceChoice& choice) {
  json::object source;
  TRY(const auto attributes, snapshot.Attributes(row));
  if (!attributes.empty()) {
    boost::system::error_code error;
    auto all = json::parse({attributes.data(), attributes.size()}, error);
    if (error || !all.is_object()) return Fail(Code::kInternal, "attributes are damaged");
    for (auto& [name, value] : all.get_object()) {
      if (choice.Shows(name)) source[name] = std::move(value);
    }
  }
  if (choice.ShowsVector(index.mapping.field)) {
    json::array values;
    for (const float value : snapshot.Vector(row)) {
      if (index.mapping.bytes) {
        values.emplace_back(static_cast<std::int64_t>(value));
      } else {
        values.emplace_back(value);
      }
    }
    source[index.mapping.field] = std::move(values);
  }
  return source;
}

namespace {

// nullopt: it would take more than `most`, if that is given.
Result<std::optional<json::object>> EsSearch(const EsIndex& index, const std::string& body,
                                             const EsChoice& choice, Most most) {
  const auto began = std::chrono::steady_clock::now();
  TRY(auto object, EsBody(body));
  if (choice.size) object["size"] = *choice.size;
  if (choice.from) object["from"] = *choice.from;
  TRY(auto asked, es::ReadSearch(object, index.mapping));
  if (choice.source) asked.source = *choice.source;
  const bool vectors = asked.source.ShowsVector(index.mapping.field);
  if (most && (!asked.knn || vectors)) return std::nullopt;
  const Snapshot snapshot = index.collection->Latest();
  Found found;
  if (asked.knn) {
    TRY(auto nearest, Nearest(index, snapshot, *asked.knn, most));
    if (!nearest) return std::nullopt;
    found = std::move(*nearest);
  } else if (asked.ids) {
    found = Named(snapshot, *asked.ids);
  } else {
    TRY(found, Fitting(snapshot, asked.filter, asked.from + asked.size));
  }
  json::array hits;
  for (std::uint64_t i = asked.from; i < found.hits.size() && i < asked.from + asked.size; ++i) {
    json::object hit{{"_index", index.name},
                     {"_id", snapshot.Id(found.hits[i].row)},
                     {"_score", found.hits[i].score}};
    if (asked.versions) hit["_version"] = snapshot.Generation();
    if (asked.numbers) {
      hit["_seq_no"] = snapshot.Generation();
      hit["_primary_term"] = 1;
    }
    if (asked.source.Any()) {
      TRY(hit["_source"], EsSource(index, snapshot, found.hits[i].row, asked.source));
    }
    hits.push_back(std::move(hit));
  }
  TRY(snapshot.Check());
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  json::object shown{{"total", {{"value", found.total}, {"relation", "eq"}}},
                     {"max_score", nullptr},
                     {"hits", std::move(hits)}};
  if (!found.hits.empty()) shown["max_score"] = found.hits[0].score;
  return json::object{{"took", took.count()},
                      {"timed_out", false},
                      {"_shards", {{"total", 1}, {"successful", 1}, {"skipped", 0}, {"failed", 0}}},
                      {"hits", std::move(shown)}};
}

}  // namespace

Result<json::object> EsSearchNow(const EsIndex& index, const std::string& body,
                                 const EsChoice& choice) {
  TRY(auto found, EsSearch(index, body, choice, std::nullopt));
  return std::move(*found);
}

Result<std::optional<json::object>> EsSearchQuickly(const EsIndex& index, const std::string& body,
                                                    const EsChoice& choice) {
  if (body.size() > kShortBody) return std::nullopt;
  return EsSearch(index, body, choice, kQuickly);
}

Result<std::uint64_t> EsCountNow(const EsIndex& index, const std::string& body) {
  TRY(auto object, EsBody(body));
  TRY(const auto asked, es::ReadCount(object, index.mapping));
  const Snapshot snapshot = index.collection->Latest();
  if (asked.knn) return Fail(Code::kInvalid, "[knn] cannot be counted", "parsing_exception");
  if (asked.ids) return Named(snapshot, *asked.ids).total;
  TRY(const auto found, Fitting(snapshot, asked.filter, 0));
  TRY(snapshot.Check());
  return found.total;
}

}  // namespace samovar
