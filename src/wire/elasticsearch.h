#pragma once
// Elasticsearch's shapes, as far as they speak of vectors: what a mapping, a query, a search and a
// choice of _source say, in our terms, and its errors.
//
// Errors   kInvalid, kUnsupported: with Elasticsearch's name for it, naming the place.
// Source   The Elasticsearch 8 and 9 REST API ("kNN search", "dense_vector field type"), as far as
//          docs/elasticsearch.md lists it.
// Threads  Pure.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar::es {

inline constexpr std::string_view kVersion = "8.19.0";  // that clients are told
inline constexpr std::uint64_t kMaxWindow = 10'000;     // from + size
inline constexpr std::uint32_t kMaxDims = 16'384;       // as collections have it

// Similarity of a dense_vector, and what Elasticsearch makes of it as _score.
enum class Similarity : std::uint8_t { kCosine, kDotProduct, kL2Norm, kMaxInnerProduct };
std::optional<Similarity> ParseSimilarity(std::string_view name);
std::string_view SimilarityName(Similarity similarity);
// `raw`: the cosine, the dot product or the Euclidean distance.
double ScoreOf(Similarity similarity, double raw);

struct Mapping {
  std::string field = "vector";  // the one dense_vector
  std::uint32_t dimension = 0;
  Similarity similarity = Similarity::kCosine;
  bool bytes = false;                 // element_type byte: whole numbers from -128 to 127
  boost::json::object mappings = {};  // as they were given
};
// The body of an index's creation.
Result<Mapping> ReadIndex(const boost::json::object& body);
// To keep with the index, and back; what cannot be read is nullopt.
std::string WriteMapping(const Mapping& mapping);
std::optional<Mapping> ReadMapping(std::string_view text);

// A query as a filter of ours (docs/collections.md), JSON; "" for everything, kNothing for nothing.
inline constexpr std::string_view kNothing = R"({"or":[]})";
Result<std::string> FilterOf(const boost::json::value& query, const Mapping& mapping);

// What a query's values mean for a field: "1995" is a number where the mapping says that the field
// is one. Where it says nothing, each value of a document is compared as what it is, a number or
// text. Errors: a value that the field cannot have.
Result<boost::json::array> ValuesLike(const Mapping& mapping, std::string_view field,
                                      const boost::json::array& asked);
// The same of a range: one that fits is enough.
Result<std::vector<boost::json::object>> BoundsLike(const Mapping& mapping, std::string_view field,
                                                    const boost::json::object& asked);
// Numbers and booleans that came as text are made what the mapping says.
Result<void> FitDocument(const Mapping& mapping, boost::json::object& source);

// Which members of a document are shown.
class SourceChoice {
 public:
  // `_source` of a body: a boolean, a name, names, or {includes, excludes}.
  static Result<SourceChoice> Of(const boost::json::value& value);
  bool Any() const { return any_; }
  bool Shows(std::string_view field) const;
  bool ShowsVector(std::string_view field) const { return vectors_ && Shows(field); }
  void Include(std::string_view names);  // separated by commas
  void Exclude(std::string_view names);
  void Nothing() { any_ = false; }
  void NoVectors() { vectors_ = false; }

 private:
  bool any_ = true;
  bool vectors_ = true;
  std::vector<std::string> includes_;
  std::vector<std::string> excludes_;
};

struct Knn {
  std::string field;
  std::vector<float> vector;
  std::uint64_t k = 10;
  std::uint64_t candidates = 0;      // 0: as the search likes
  std::string filter;                // as FilterOf
  std::optional<double> similarity;  // the least cosine or dot product, the most distance
  double boost = 1;
};

// What a request asks for, by its method and path: "search", "bulk"; "" where it is none of these.
std::string_view OperationOf(std::string_view method, const std::vector<std::string>& path);
// A request's parameters, of which each has to be known for that operation. `target`: as errors
// name the request.
Result<void> CheckParameters(std::string_view operation, std::string_view target,
                             std::string_view raw_query);

// The body of an _update, or of a bulk's update.
struct Update {
  boost::json::object doc;
  std::optional<boost::json::object> otherwise;  // where there is no such document
};
Result<Update> ReadUpdate(const boost::json::object& body);

struct Search {
  std::optional<Knn> knn;
  std::string filter;  // of a search without knn
  std::optional<std::vector<std::string>> ids;
  std::uint64_t from = 0;
  std::uint64_t size = 10;
  bool versions = false;
  bool numbers = false;  // _seq_no and _primary_term
  SourceChoice source;
};
Result<Search> ReadSearch(const boost::json::object& body, const Mapping& mapping);
Result<Search> ReadCount(const boost::json::object& body, const Mapping& mapping);

// An array of numbers.
Result<std::vector<float>> ReadVector(const boost::json::value& value, std::string_view field,
                                      bool bytes = false);

// {"error": {"type", "reason", "root_cause": [..]}, "status": n}
boost::json::object ErrorBody(const Error& error);
unsigned StatusOf(const Error& error);

}  // namespace samovar::es
