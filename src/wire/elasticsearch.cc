#include "wire/elasticsearch.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "wire/utf8.h"

namespace samovar::es {

namespace json = boost::json;

namespace {

constexpr std::string_view kParsing = "parsing_exception";

constexpr std::pair<std::string_view, Similarity> kSimilarities[] = {
    {"cosine", Similarity::kCosine},
    {"dot_product", Similarity::kDotProduct},
    {"l2_norm", Similarity::kL2Norm},
    {"max_inner_product", Similarity::kMaxInnerProduct}};

std::unexpected<Error> Wrong(std::string reason, std::string_view type = kParsing) {
  return Fail(Code::kInvalid, std::move(reason), type);
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
  json::object cause{{"type", type}, {"reason", AsUtf8(error.message)}};
  json::object body = cause;
  body["root_cause"] = json::array{cause};
  return {{"error", std::move(body)}, {"status", StatusOf(error)}};
}

}  // namespace samovar::es
