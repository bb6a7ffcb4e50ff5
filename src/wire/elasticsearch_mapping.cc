// What an index's creation says in Elasticsearch's form, and what is kept of it.

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <span>

#include "wire/elasticsearch.h"

namespace samovar::es {

namespace json = boost::json;

namespace {

constexpr std::string_view kParsing = "parsing_exception";
constexpr std::string_view kMapper = "mapper_parsing_exception";
constexpr std::string_view kArgument = "illegal_argument_exception";

constexpr std::string_view kIndexOptions[] = {"hnsw",      "int8_hnsw", "int4_hnsw",
                                              "bbq_hnsw",  "flat",      "int8_flat",
                                              "int4_flat", "bbq_flat",  "bbq_disk"};
// They say how fields that are not vectors are found by words, or how many machines keep an index:
// nothing that answers here depend on.
constexpr std::string_view kSettings[] = {"number_of_shards",
                                          "number_of_replicas",
                                          "number_of_routing_shards",
                                          "refresh_interval",
                                          "auto_expand_replicas",
                                          "max_result_window",
                                          "analysis",
                                          "codec",
                                          "mapping",
                                          "merge",
                                          "search",
                                          "indexing",
                                          "similarity",
                                          "store",
                                          "translog",
                                          "unassigned",
                                          "priority",
                                          "requests",
                                          "queries",
                                          "routing",
                                          "hidden",
                                          "max_inner_result_window"};
constexpr std::string_view kTypes[] = {"aggregate_metric_double",
                                       "binary",
                                       "boolean",
                                       "byte",
                                       "completion",
                                       "constant_keyword",
                                       "counted_keyword",
                                       "date",
                                       "date_nanos",
                                       "date_range",
                                       "double",
                                       "double_range",
                                       "flattened",
                                       "float",
                                       "float_range",
                                       "geo_point",
                                       "geo_shape",
                                       "half_float",
                                       "histogram",
                                       "integer",
                                       "integer_range",
                                       "ip",
                                       "ip_range",
                                       "keyword",
                                       "long",
                                       "long_range",
                                       "match_only_text",
                                       "murmur3",
                                       "object",
                                       "point",
                                       "rank_feature",
                                       "rank_features",
                                       "scaled_float",
                                       "search_as_you_type",
                                       "shape",
                                       "short",
                                       "text",
                                       "token_count",
                                       "unsigned_long",
                                       "version",
                                       "wildcard"};
constexpr std::string_view kOtherTypes[] = {"alias",       "join",          "nested",
                                            "percolator",  "semantic_text", "sparse_vector",
                                            "passthrough", "rank_vectors"};

bool IsOne(std::span<const std::string_view> of, std::string_view name) {
  return std::ranges::find(of, name) != of.end();
}

std::unexpected<Error> Wrong(std::string reason, std::string_view type = kParsing) {
  return Fail(Code::kInvalid, std::move(reason), type);
}

const json::value* Find(const json::object& object, std::string_view name) {
  return object.if_contains(name);
}

std::string_view TextIn(const json::object& object, std::string_view name) {
  const auto* found = Find(object, name);
  return found && found->is_string() ? std::string_view(found->get_string()) : "";
}

std::string Shown(std::string_view name, const json::value& value) {
  return "[" + std::string(name) + " : " + json::serialize(value) + "]";
}

// How a graph is made and kept is found here by measure; what is said of it has to be right.
Result<void> CheckIndexOptions(const std::string& name, const json::value& value) {
  if (!value.is_object()) {
    return Wrong("[index_options] of the field [" + name + "] has to be an object", kMapper);
  }
  const auto type = TextIn(value.get_object(), "type");
  if (type.empty()) return Wrong("[index_options] requires field [type] to be configured", kMapper);
  if (!IsOne(kIndexOptions, type)) {
    return Wrong(
        "Unknown vector index options type [" + std::string(type) + "] for field [" + name + "]",
        kMapper);
  }
  for (const auto& [option, given] : value.get_object()) {
    const bool number = option == "m" || option == "ef_construction" ||
                        option == "confidence_interval" || option == "default_visit_percentage";
    if (option == "type" || (number && given.is_number()) ||
        (option == "rescore_vector" && given.is_object()) ||
        (option == "on_disk_rescore" && given.is_bool())) {
      continue;
    }
    return Wrong("Mapping definition for [" + name +
                     "] has unsupported parameters:  " + Shown(option, given),
                 kMapper);
  }
  return {};
}

Result<void> CheckVectorParameters(const std::string& name, const json::object& field) {
  for (const auto& [parameter, value] : field) {
    if (parameter == "index_options") {
      TRY(CheckIndexOptions(name, value));
    } else if (parameter == "index") {
      if (!value.is_bool()) {
        return Wrong("[index] of the field [" + name + "] has to be true or false", kMapper);
      }
    } else if (parameter == "element_type" || parameter == "similarity") {
      if (!value.is_string()) {
        return Wrong("[" + std::string(parameter) + "] of the field [" + name + "] has to be text",
                     kMapper);
      }
    } else if (parameter != "type" && parameter != "dims" && parameter != "meta") {
      return Wrong("unknown parameter [" + std::string(parameter) + "] on mapper [" + name +
                       "] of type [dense_vector]",
                   kMapper);
    }
  }
  return {};
}

Result<void> ReadVectorField(std::string name, const json::object& field, Mapping& mapping) {
  if (mapping.dimension != 0) {
    return Wrong("an index has one field of type [dense_vector] here: [" + mapping.field +
                     "], not also [" + name + "]",
                 kMapper);
  }
  TRY(CheckVectorParameters(name, field));
  const auto* dims = Find(field, "dims");
  boost::system::error_code error;
  const auto number = dims ? dims->to_number<std::uint32_t>(error) : 0;
  if (error || number == 0) {
    return Wrong("[dims] of the field [" + name + "] has to be a number from 1 on", kMapper);
  }
  if (number > kMaxDims) {
    return Wrong("The number of dimensions for field [" + name + "] should be in the range [1, " +
                     std::to_string(kMaxDims) + "] but was [" + std::to_string(number) + "]",
                 kMapper);
  }
  const auto type = TextIn(field, "element_type");
  if (!type.empty() && type != "float" && type != "byte") {
    return Wrong("the field [" + name + "]: element_type [" + std::string(type) +
                     "] is not supported, only [float] and [byte]",
                 kMapper);
  }
  mapping.bytes = type == "byte";
  const auto similarity = TextIn(field, "similarity");
  const auto known = ParseSimilarity(similarity.empty() ? "cosine" : similarity);
  if (!known) {
    return Wrong("the field [" + name + "]: unknown similarity [" + std::string(similarity) + "]",
                 kMapper);
  }
  mapping.field = std::move(name);
  mapping.dimension = number;
  mapping.similarity = *known;
  return {};
}

// A field that is no vector: it needs no mapping, but what its mapping says has to exist.
Result<void> CheckOther(const std::string& name, const json::object& field) {
  const auto* type = Find(field, "type");
  if (type && !type->is_string()) return Wrong("[type] of [" + name + "] has to be text", kMapper);
  const auto text = TextIn(field, "type");
  if (text == "dense_vector") {
    return Wrong("[" + name + "]: a field of type [dense_vector] has to be of the top level here",
                 kMapper);
  }
  if (IsOne(kOtherTypes, text)) {
    return Wrong(
        "[" + name + "]: fields of type [" + std::string(text) + "] are not supported here",
        kMapper);
  }
  if (type && !IsOne(kTypes, text)) {
    return Wrong("No handler for type [" + std::string(text) + "] declared on field [" + name + "]",
                 kMapper);
  }
  const auto* below = Find(field, "properties");
  if (!below) return {};
  if (!below->is_object())
    return Wrong("[properties] of [" + name + "] has to be an object", kMapper);
  for (const auto& [member, value] : below->get_object()) {
    const std::string path = name + "." + std::string(member);
    if (!value.is_object()) return Wrong("[" + path + "] has to be an object", kMapper);
    TRY(CheckOther(path, value.get_object()));
  }
  return {};
}

Result<void> CheckMappings(const json::object& mappings) {
  constexpr std::string_view kFine[] = {"properties",        "_meta",
                                        "dynamic_templates", "date_detection",
                                        "numeric_detection", "dynamic_date_formats"};
  constexpr std::string_view kNotHere[] = {
      "_source", "_routing",  "runtime", "_field_names", "_data_stream_timestamp",
      "_size",   "subobjects"};
  for (const auto& [name, value] : mappings) {
    if (IsOne(kFine, name)) continue;
    if (name == "dynamic") {
      if (value.is_bool() || value == "true" || value == "false" || value == "runtime") continue;
      return Wrong("[dynamic] can be true or false here: fields are kept as they come", kMapper);
    }
    if (IsOne(kNotHere, name)) {
      return Wrong("[mappings]: [" + std::string(name) + "] is not supported here", kMapper);
    }
    return Wrong("Root mapping definition has unsupported parameters:  " + Shown(name, value),
                 kMapper);
  }
  return {};
}

// `settings`: under "index", with that as a prefix, or without it.
Result<void> CheckSettings(const json::object& settings) {
  for (const auto& [given, value] : settings) {
    std::string_view name = given;
    if (name == "index" && value.is_object()) {
      TRY(CheckSettings(value.get_object()));
      continue;
    }
    if (name.starts_with("index.")) name.remove_prefix(6);
    name = name.substr(0, name.find('.'));
    if (IsOne(kSettings, name)) continue;
    if (name == "default_pipeline" || name == "final_pipeline" || name == "sort" ||
        name == "blocks" || name == "lifecycle" || name == "mode") {
      return Wrong("[index." + std::string(name) + "] is not supported here", kArgument);
    }
    return Wrong("unknown setting [index." + std::string(name) +
                     "] please check that any required plugins are installed, or check the "
                     "breaking changes documentation for removed settings",
                 kArgument);
  }
  return {};
}

}  // namespace

Result<Mapping> ReadIndex(const json::object& body) {
  for (const auto& [name, value] : body) {
    if (name != "mappings" && name != "settings" && name != "aliases") {
      return Wrong("unknown key [" + std::string(name) + "] for create index");
    }
    if (!value.is_object()) return Wrong("[" + std::string(name) + "] has to be an object");
  }
  if (const auto* aliases = Find(body, "aliases"); aliases && !aliases->get_object().empty()) {
    return Wrong("aliases are not supported");
  }
  Mapping mapping;
  if (const auto* given = Find(body, "mappings")) mapping.mappings = given->get_object();
  TRY(CheckMappings(mapping.mappings));
  if (const auto* settings = Find(body, "settings")) {
    TRY(CheckSettings(settings->get_object()));
  }
  const auto* properties = Find(mapping.mappings, "properties");
  if (properties && !properties->is_object()) {
    return Wrong("[mappings.properties] has to be an object", kMapper);
  }
  if (properties) {
    for (const auto& [name, field] : properties->get_object()) {
      if (!field.is_object())
        return Wrong("[" + std::string(name) + "] has to be an object", kMapper);
      if (TextIn(field.get_object(), "type") == "dense_vector") {
        TRY(ReadVectorField(name, field.get_object(), mapping));
      } else {
        TRY(CheckOther(name, field.get_object()));
      }
    }
  }
  if (mapping.dimension == 0) {
    return Wrong(
        "[mappings.properties] has to name one field of type [dense_vector] with its [dims]: only "
        "indices with vectors are served here",
        kMapper);
  }
  return mapping;
}

std::string WriteMapping(const Mapping& mapping) {
  return json::serialize(json::object{{"field", mapping.field},
                                      {"similarity", SimilarityName(mapping.similarity)},
                                      {"mappings", mapping.mappings}});
}

std::optional<Mapping> ReadMapping(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return std::nullopt;
  const auto& object = value.get_object();
  const auto similarity = ParseSimilarity(TextIn(object, "similarity"));
  const auto* mappings = Find(object, "mappings");
  if (TextIn(object, "field").empty() || !similarity || !mappings || !mappings->is_object()) {
    return std::nullopt;
  }
  Mapping mapping{.field = std::string(TextIn(object, "field")),
                  .similarity = *similarity,
                  .mappings = mappings->get_object()};
  const auto* properties = Find(mapping.mappings, "properties");
  const auto* field = properties && properties->is_object()
                          ? Find(properties->get_object(), mapping.field)
                          : nullptr;
  mapping.bytes =
      field && field->is_object() && TextIn(field->get_object(), "element_type") == "byte";
  return mapping;
}

}  // namespace samovar::es
