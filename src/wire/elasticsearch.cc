#include "wire/elasticsearch.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

namespace samovar::es {

namespace json = boost::json;

namespace {

constexpr std::string_view kParsing = "parsing_exception";
constexpr std::string_view kMapper = "mapper_parsing_exception";

constexpr std::pair<std::string_view, Similarity> kSimilarities[] = {
    {"cosine", Similarity::kCosine},
    {"dot_product", Similarity::kDotProduct},
    {"l2_norm", Similarity::kL2Norm},
    {"max_inner_product", Similarity::kMaxInnerProduct}};

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

Result<void> ReadVectorField(std::string name, const json::object& field, Mapping& mapping) {
  if (mapping.dimension != 0) {
    return Wrong("an index has one field of type [dense_vector] here: [" + mapping.field +
                     "], not also [" + name + "]",
                 kMapper);
  }
  const auto* dims = Find(field, "dims");
  boost::system::error_code error;
  const auto number = dims ? dims->to_number<std::uint32_t>(error) : 0;
  if (error || number == 0) {
    return Wrong("[dims] of the field [" + name + "] has to be a number from 1 on", kMapper);
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

bool FitsPattern(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == pattern.npos) {
    // "author" shows all of author, and "author.name" too: what is below is shown whole.
    return pattern == name ||
           (pattern.starts_with(name) && pattern.substr(name.size()).starts_with("."));
  }
  if (!name.starts_with(pattern.substr(0, star))) return false;
  const auto rest = pattern.substr(star + 1);
  for (std::size_t at = star; at <= name.size(); ++at) {
    if (FitsPattern(rest, name.substr(at))) return true;
  }
  return false;
}

void AddNames(std::vector<std::string>& names, std::string_view list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) names.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

Result<void> AddNames(std::vector<std::string>& names, const json::value& value) {
  if (value.is_string()) {
    names.emplace_back(value.get_string());
    return {};
  }
  if (!value.is_array()) return Wrong("[_source] expects names");
  for (const auto& name : value.get_array()) {
    if (!name.is_string()) return Wrong("[_source] expects names");
    names.emplace_back(name.get_string());
  }
  return {};
}

}  // namespace

std::optional<Similarity> ParseSimilarity(std::string_view name) {
  const auto* found =
      std::ranges::find(kSimilarities, name, &std::pair<std::string_view, Similarity>::first);
  if (found == std::end(kSimilarities)) return std::nullopt;
  return found->second;
}

std::string_view SimilarityName(Similarity similarity) {
  return kSimilarities[static_cast<std::size_t>(similarity)].first;
}

double ScoreOf(Similarity similarity, double raw) {
  switch (similarity) {
    case Similarity::kCosine:
    case Similarity::kDotProduct:
      return (1 + raw) / 2;
    case Similarity::kL2Norm:
      return 1 / (1 + raw * raw);
    case Similarity::kMaxInnerProduct:
      return raw < 0 ? 1 / (1 - raw) : raw + 1;
  }
  return raw;
}

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
  const auto* properties = Find(mapping.mappings, "properties");
  if (properties && properties->is_object()) {
    for (const auto& [name, field] : properties->get_object()) {
      if (!field.is_object())
        return Wrong("[" + std::string(name) + "] has to be an object", kMapper);
      if (TextIn(field.get_object(), "type") != "dense_vector") continue;
      TRY(ReadVectorField(name, field.get_object(), mapping));
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

Result<SourceChoice> SourceChoice::Of(const json::value& value) {
  SourceChoice choice;
  if (value.is_bool()) {
    choice.any_ = value.get_bool();
    return choice;
  }
  if (!value.is_object()) {
    TRY(AddNames(choice.includes_, value));
    return choice;
  }
  for (const auto& [name, names] : value.get_object()) {
    if (name == "includes" || name == "include") {
      TRY(AddNames(choice.includes_, names));
    } else if (name == "excludes" || name == "exclude") {
      TRY(AddNames(choice.excludes_, names));
    } else if (name == "exclude_vectors") {
      if (!names.is_bool()) return Wrong("[exclude_vectors] has to be true or false");
      choice.vectors_ = !names.get_bool();
    } else {
      return Wrong("unknown key [" + std::string(name) + "] in [_source]");
    }
  }
  return choice;
}

void SourceChoice::Include(std::string_view names) { AddNames(includes_, names); }
void SourceChoice::Exclude(std::string_view names) { AddNames(excludes_, names); }

bool SourceChoice::Shows(std::string_view field) const {
  auto fits = [&](const std::string& pattern) { return FitsPattern(pattern, field); };
  if (!any_ || std::ranges::find(excludes_, field) != excludes_.end()) return false;
  const bool excluded = std::ranges::any_of(excludes_, [&](const std::string& pattern) {
    return pattern.find('*') != pattern.npos && FitsPattern(pattern, field);
  });
  return !excluded && (includes_.empty() || std::ranges::any_of(includes_, fits));
}

Result<std::vector<float>> ReadVector(const json::value& value, std::string_view field,
                                      bool bytes) {
  std::vector<float> vector;
  if (!value.is_array()) return Wrong("[" + std::string(field) + "] expects an array of numbers");
  for (const auto& element : value.get_array()) {
    if (element.is_array()) {
      return Wrong("[" + std::string(field) +
                   "] expects numbers: a document has one vector here, not several");
    }
    boost::system::error_code error;
    const auto number = element.to_number<double>(error);
    if (error) return Wrong("[" + std::string(field) + "] expects numbers");
    if (bytes && !(number >= -128 && number <= 127 && number == std::nearbyint(number))) {
      return Wrong("[" + std::string(field) +
                       "]: element_type [byte] vectors only support integers between [-128, 127]",
                   "illegal_argument_exception");
    }
    vector.push_back(static_cast<float>(number));
  }
  return vector;
}

unsigned StatusOf(const Error& error) {
  switch (error.code) {
    case Code::kInvalid:
    case Code::kUnsupported:
      return 400;
    case Code::kNotFound:
      return 404;
    case Code::kConflict:
    case Code::kPrecondition:
      return 409;
    case Code::kDenied:
      return error.name == "MissingAuthenticationTokenException" ? 401 : 403;
    case Code::kTooLarge:
      return 413;
    case Code::kThrottled:
    case Code::kOverloaded:
      return 429;
    case Code::kTimeout:
    case Code::kUnavailable:
      return 503;
    case Code::kInternal:
      return 500;
  }
  return 500;
}

json::object ErrorBody(const Error& error) {
  std::string_view type = error.name;
  if (error.code == Code::kDenied) type = "security_exception";
  if (type.empty() || type == "NoSuchCollection" || type == "CollectionExists") {
    switch (error.code) {
      case Code::kNotFound:
        type = "index_not_found_exception";
        break;
      case Code::kConflict:
        type = "resource_already_exists_exception";
        break;
      case Code::kThrottled:
      case Code::kOverloaded:
        type = "es_rejected_execution_exception";
        break;
      default:
        type = error.code == Code::kInternal ? "exception" : "illegal_argument_exception";
    }
  }
  json::object cause{{"type", type}, {"reason", error.message}};
  json::object body = cause;
  body["root_cause"] = json::array{cause};
  return {{"error", std::move(body)}, {"status", StatusOf(error)}};
}

}  // namespace samovar::es
