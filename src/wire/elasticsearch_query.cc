// Elasticsearch's queries and searches, in our terms.

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "wire/elasticsearch.h"

namespace samovar::es {

namespace json = boost::json;

namespace {

constexpr std::string_view kParsing = "parsing_exception";
constexpr int kDeepest = 32;
constexpr std::string_view kKeyword = ".keyword";

std::unexpected<Error> Wrong(std::string reason) {
  return Fail(Code::kInvalid, std::move(reason), kParsing);
}

constexpr std::array<std::string_view, 6> kBeside{"_id",      "_index",  "_source",
                                                  "_routing", "_seq_no", "_version"};

// nullopt: everything. A filter of ours otherwise.
using Part = std::optional<json::value>;
Result<Part> Translate(const json::value& query, const Mapping& mapping, int depth);

// Members of the top level only; "genre.keyword" is what a dynamic mapping calls genre's text.
Result<std::string> FieldOf(std::string_view name) {
  if (name.ends_with(kKeyword)) name.remove_suffix(kKeyword.size());
  // Elasticsearch has them beside a document's own fields; here nothing would fit, in silence.
  if (std::ranges::find(kBeside, name) != kBeside.end()) {
    return Wrong("[" + std::string(name) + "] cannot be filtered by here; [ids] is a whole query");
  }
  if (name.find('.') == name.npos) return std::string(name);
  return Wrong("[" + std::string(name) + "]: only fields of the top level can be filtered by");
}

// The one member of a query's object.
Result<std::pair<std::string, const json::value*>> OnlyMember(const json::value& value,
                                                              std::string_view what) {
  if (!value.is_object() || value.get_object().size() != 1) {
    return Wrong("[" + std::string(what) + "] expects an object with one member");
  }
  const auto& member = *value.get_object().begin();
  return std::pair(std::string(member.key()), &member.value());
}

Result<void> OnlyKnown(const json::object& object, std::initializer_list<std::string_view> known,
                       std::string_view where) {
  for (const auto& member : object) {
    if (std::ranges::find(known, std::string_view(member.key())) == known.end()) {
      return Wrong("[" + std::string(where) + "] does not support [" + std::string(member.key()) +
                   "] here");
    }
  }
  return {};
}

json::value One(std::string_view operation, json::value argument) {
  return json::object{{operation, std::move(argument)}};
}

Result<Part> Term(const json::value& body, const Mapping& mapping) {
  TRY(const auto member, OnlyMember(body, "term"));
  TRY(auto field, FieldOf(member.first));
  const json::value* value = member.second;
  if (value->is_object()) {
    const auto& said = value->get_object();
    TRY(OnlyKnown(said, {"value", "boost"}, "term"));
    value = said.if_contains("value");
    if (!value) return Wrong("[term] expects a [value]");
  }
  TRY(auto values, ValuesLike(mapping, field, {*value}));
  if (values.size() == 1) return One("eq", json::object{{field, std::move(values[0])}});
  return One("in", json::object{{field, std::move(values)}});
}

Result<Part> Terms(const json::value& body, const Mapping& mapping) {
  json::value fields = body;
  if (fields.is_object()) fields.get_object().erase("boost");
  TRY(const auto member, OnlyMember(fields, "terms"));
  TRY(auto field, FieldOf(member.first));
  if (!member.second->is_array()) return Wrong("[terms] expects an array of values");
  TRY(auto values, ValuesLike(mapping, field, member.second->get_array()));
  return One("in", json::object{{field, std::move(values)}});
}

Result<Part> Range(const json::value& body, const Mapping& mapping) {
  TRY(const auto member, OnlyMember(body, "range"));
  TRY(auto field, FieldOf(member.first));
  if (!member.second->is_object()) return Wrong("[range] expects an object");
  json::object bounds;
  for (const auto& [name, value] : member.second->get_object()) {
    if (name == "boost") continue;
    if (name != "gt" && name != "gte" && name != "lt" && name != "lte") {
      return Wrong("[range] does not support [" + std::string(name) + "]");
    }
    bounds[name] = value;
  }
  if (bounds.empty()) return Part();
  TRY(auto readings, BoundsLike(mapping, field, bounds));
  json::array any;
  for (auto& reading : readings) {
    any.push_back(One("range", json::object{{field, std::move(reading)}}));
  }
  return any.size() == 1 ? std::move(any[0]) : One("or", std::move(any));
}

Result<std::vector<Part>> All(const json::value& clause, const Mapping& mapping, int depth) {
  std::vector<Part> parts;
  if (!clause.is_array()) {
    TRY(auto part, Translate(clause, mapping, depth));
    parts.push_back(std::move(part));
    return parts;
  }
  for (const auto& one : clause.get_array()) {
    TRY(auto part, Translate(one, mapping, depth));
    parts.push_back(std::move(part));
  }
  return parts;
}

Result<Part> Bool(const json::value& body, const Mapping& mapping, int depth) {
  if (!body.is_object()) return Wrong("[bool] expects an object");
  json::array wanted;
  json::array any;
  bool should = false;
  bool all_of_should = false;  // one of its clauses is everything
  bool must = false;
  std::int64_t least = -1;
  for (const auto& [name, clause] : body.get_object()) {
    if (name == "boost") continue;
    if (name == "minimum_should_match") {
      const auto said =
          clause.is_string() ? std::string(clause.get_string()) : json::serialize(clause);
      if (said != "0" && said != "1") return Wrong("[minimum_should_match] can be 0 or 1");
      least = said == "1" ? 1 : 0;
      continue;
    }
    TRY(auto parts, All(clause, mapping, depth + 1));
    for (auto& part : parts) {
      if (name == "must" || name == "filter") {
        must = true;
        if (part) wanted.push_back(std::move(*part));
      } else if (name == "must_not") {
        wanted.push_back(part ? One("not", std::move(*part)) : json::value(json::parse(kNothing)));
      } else if (name == "should") {
        should = true;
        if (part) {
          any.push_back(std::move(*part));
        } else {
          all_of_should = true;
        }
      } else {
        return Wrong("[bool] query does not support [" + std::string(name) + "]");
      }
    }
  }
  const bool needed = least < 0 ? should && !must : least > 0;
  if (needed && !all_of_should && should) wanted.push_back(One("or", std::move(any)));
  if (wanted.empty()) return Part();
  if (wanted.size() == 1) return Part(std::move(wanted[0]));
  return One("and", std::move(wanted));
}

Result<Part> Translate(const json::value& query, const Mapping& mapping, int depth) {
  if (depth > kDeepest) return Wrong("the query is nested too deeply");
  TRY(const auto member, OnlyMember(query, "query"));
  const auto& [name, body] = member;
  if (name == "match_all" || name == "match_none") {
    if (!body->is_object()) return Wrong("[" + name + "] expects an object");
    TRY(OnlyKnown(body->get_object(), {"boost"}, name));
    return name == "match_all" ? Part() : Part(json::parse(kNothing));
  }
  if (name == "term") return Term(*body, mapping);
  if (name == "terms") return Terms(*body, mapping);
  if (name == "range") return Range(*body, mapping);
  if (name == "bool") return Bool(*body, mapping, depth);
  if (name == "constant_score" && body->is_object() && body->get_object().contains("filter")) {
    TRY(OnlyKnown(body->get_object(), {"filter", "boost"}, name));
    return Translate(body->get_object().at("filter"), mapping, depth + 1);
  }
  return Wrong("[" + name +
               "] queries are not supported here; bool, term, terms, range, match_all and "
               "constant_score are");
}

Result<std::uint64_t> Number(const json::object& object, std::string_view name,
                             std::uint64_t otherwise) {
  const auto* found = object.if_contains(name);
  if (!found || found->is_null()) return otherwise;
  boost::system::error_code error;
  const auto number = found->to_number<std::uint64_t>(error);
  if (error) return Wrong("[" + std::string(name) + "] expects a whole number");
  return number;
}

Result<std::optional<double>> Real(const json::object& object, std::string_view name) {
  const auto* found = object.if_contains(name);
  if (!found || found->is_null()) return std::optional<double>();
  boost::system::error_code error;
  const auto number = found->to_number<double>(error);
  if (error) return Wrong("[" + std::string(name) + "] expects a number");
  return std::optional(number);
}

Result<bool> Truth(const json::object& object, std::string_view name) {
  const auto* found = object.if_contains(name);
  if (!found) return false;
  if (!found->is_bool()) return Wrong("[" + std::string(name) + "] expects true or false");
  return found->get_bool();
}

// `filter`: one query or several, all of which count.
Result<std::string> FiltersOf(const json::value& value, const Mapping& mapping) {
  if (!value.is_array()) return FilterOf(value, mapping);
  return FilterOf(json::object{{"bool", json::object{{"filter", value}}}}, mapping);
}

Result<Knn> ReadKnn(const json::value& value, std::uint64_t size, const Mapping& mapping) {
  const json::value* one = &value;
  if (value.is_array()) {
    if (value.get_array().size() != 1) return Wrong("[knn]: one at a time is supported here");
    one = &value.get_array()[0];
  }
  if (!one->is_object()) return Wrong("[knn] expects an object");
  const auto& object = one->get_object();
  TRY(OnlyKnown(object,
                {"field", "query_vector", "k", "num_candidates", "filter", "similarity", "boost",
                 "rescore_vector"},
                "knn"));
  if (const auto* rescore = object.if_contains("rescore_vector")) {
    if (!rescore->is_object()) return Wrong("[rescore_vector] expects an object");
    TRY(OnlyKnown(rescore->get_object(), {"oversample"}, "rescore_vector"));
  }
  Knn knn;
  const auto* field = object.if_contains("field");
  const auto* vector = object.if_contains("query_vector");
  if (!field || !field->is_string()) return Wrong("[knn] expects a [field]");
  if (!vector) return Wrong("[knn] expects a [query_vector]");
  knn.field = field->get_string();
  TRY(knn.vector, ReadVector(*vector, "query_vector"));
  TRY(knn.candidates, Number(object, "num_candidates", 0));
  if (const auto* said = object.if_contains("num_candidates"); said && knn.candidates == 0) {
    return Wrong("[num_candidates] must be greater than 0");
  }
  const std::uint64_t candidates = knn.candidates;
  TRY(knn.k, Number(object, "k", candidates ? std::min(size, candidates) : size));
  if (knn.k < 1 || knn.k > kMaxWindow) return Wrong("[k] must be from 1 to 10000");
  if (candidates > kMaxWindow) return Wrong("[num_candidates] cannot exceed [10000]");
  if (candidates != 0 && candidates < knn.k) {
    return Wrong("[num_candidates] cannot be less than [k]");
  }
  if (const auto* filter = object.if_contains("filter")) {
    TRY(knn.filter, FiltersOf(*filter, mapping));
  }
  TRY(knn.similarity, Real(object, "similarity"));
  TRY(const auto boost, Real(object, "boost"));
  knn.boost = boost.value_or(1);
  if (knn.boost < 0) return Wrong("negative [boost] is not allowed");
  return knn;
}

// {"knn": ..} in the place of a query, or of a retriever.
const json::value* KnnIn(const json::object& body, std::string_view member) {
  const auto* found = body.if_contains(member);
  if (!found || !found->is_object() || found->get_object().size() != 1) return nullptr;
  return found->get_object().if_contains("knn");
}

Result<void> ReadIds(const json::value& query, Search& search) {
  const auto* values = query.is_object() ? query.get_object().if_contains("values") : nullptr;
  if (values) {
    TRY(OnlyKnown(query.get_object(), {"values", "boost"}, "ids"));
  }
  if (!values || !values->is_array() || values->get_array().size() > kMaxWindow) {
    return Wrong("[ids] expects [values], at most 10000");
  }
  search.ids.emplace();
  for (const auto& id : values->get_array()) {
    if (!id.is_string()) return Wrong("[ids] expects strings");
    search.ids->emplace_back(id.get_string());
  }
  return {};
}

}  // namespace

Result<std::string> FilterOf(const json::value& query, const Mapping& mapping) {
  TRY(const auto part, Translate(query, mapping, 0));
  return part ? json::serialize(*part) : "";
}

Result<Search> ReadCount(const json::object& body, const Mapping& mapping) {
  for (const auto& member : body) {
    if (member.key() == "query") continue;
    return Wrong("request does not support [" + std::string(member.key()) + "]");
  }
  return ReadSearch(body, mapping);
}

Result<Update> ReadUpdate(const json::object& body) {
  for (const auto& member : body) {
    const std::string name(member.key());
    if (name == "doc" || name == "doc_as_upsert" || name == "upsert" || name == "detect_noop") {
      continue;
    }
    return Fail(Code::kInvalid, "[UpdateRequest] does not support [" + name + "] here",
                "x_content_parse_exception");
  }
  const auto* doc = body.if_contains("doc");
  if (!doc || !doc->is_object()) {
    return Fail(Code::kInvalid, "[doc] has to be an object", "action_request_validation_exception");
  }
  Update update{.doc = doc->get_object(), .otherwise = std::nullopt};
  for (const char* name : {"doc_as_upsert", "detect_noop"}) {
    const auto* said = body.if_contains(name);
    if (said && !said->is_bool()) {
      return Wrong("[" + std::string(name) + "] has to be true or false");
    }
  }
  if (const auto* upsert = body.if_contains("upsert")) {
    if (!upsert->is_object()) return Wrong("[upsert] has to be an object");
    update.otherwise = upsert->get_object();
  }
  const auto* as_upsert = body.if_contains("doc_as_upsert");
  if (as_upsert && as_upsert->get_bool()) update.otherwise = update.doc;
  return update;
}

Result<Search> ReadSearch(const json::object& body, const Mapping& mapping) {
  TRY(OnlyKnown(body,
                {"knn", "query", "retriever", "size", "from", "_source", "track_total_hits",
                 "timeout", "track_scores", "version", "seq_no_primary_term"},
                "search"));
  Search search;
  TRY(search.size, Number(body, "size", 10));
  TRY(search.from, Number(body, "from", 0));
  if (search.from > kMaxWindow || search.size > kMaxWindow - search.from) {
    return Wrong("[from] + [size] must be at most 10000");
  }
  TRY(search.versions, Truth(body, "version"));
  TRY(search.numbers, Truth(body, "seq_no_primary_term"));
  TRY(Truth(body, "track_scores"));
  const auto* total = body.if_contains("track_total_hits");
  if (total && !total->is_bool() && !total->is_int64() && !total->is_uint64()) {
    return Wrong("[track_total_hits] expects true, false or a whole number");
  }
  const auto* timeout = body.if_contains("timeout");
  if (timeout && !timeout->is_string()) return Wrong("[timeout] expects a time, such as \"1s\"");
  if (const auto* source = body.if_contains("_source")) {
    TRY(search.source, SourceChoice::Of(*source));
  }
  const json::value* knn = body.if_contains("knn");
  const json::value* query = body.if_contains("query");
  if (const auto* retriever = body.if_contains("retriever")) {
    if (knn || query) return Wrong("[retriever] cannot stand beside [knn] or [query]");
    knn = KnnIn(body, "retriever");
    if (!knn) return Wrong("[retriever]: only {\"knn\": ..} is supported here");
    (void)retriever;
  }
  if (!knn && query && KnnIn(body, "query")) {
    knn = KnnIn(body, "query");
    query = nullptr;
  }
  if (knn && query) return Wrong("[knn] beside a [query] (a hybrid search) is not supported here");
  if (knn) {
    TRY(search.knn, ReadKnn(*knn, std::max<std::uint64_t>(search.size, 1), mapping));
    return search;
  }
  if (!query) return search;
  const auto* ids = query->is_object() && query->get_object().size() == 1
                        ? query->get_object().if_contains("ids")
                        : nullptr;
  if (ids) {
    TRY(ReadIds(*ids, search));
    return search;
  }
  TRY(search.filter, FilterOf(*query, mapping));
  return search;
}

}  // namespace samovar::es
