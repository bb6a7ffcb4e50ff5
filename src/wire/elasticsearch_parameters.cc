// Which parameters Elasticsearch's requests may have in their query, and what they may say.

#include <algorithm>
#include <span>

#include "wire/elasticsearch.h"
#include "wire/fields.h"

namespace samovar::es {

namespace {

using Names = std::span<const std::string_view>;

// They choose how the answer is written, or name what one machine has no choice of.
constexpr std::string_view kAlways[] = {"pretty", "human",   "error_trace",   "filter_path",
                                        "format", "timeout", "master_timeout"};
constexpr std::string_view kIndices[] = {
    "ignore_unavailable", "allow_no_indices", "expand_wildcards", "local",
    "flat_settings",      "include_defaults", "features",         "wait_for_active_shards"};
constexpr std::string_view kWrite[] = {"refresh",
                                       "routing",
                                       "wait_for_active_shards",
                                       "require_alias",
                                       "require_data_stream",
                                       "op_type",
                                       "include_source_on_error",
                                       "pipeline",
                                       "list_executed_pipelines",
                                       "retry_on_conflict"};
constexpr std::string_view kGet[] = {"preference", "realtime",         "refresh",         "routing",
                                     "_source",    "_source_includes", "_source_excludes"};
constexpr std::string_view kSearch[] = {"ignore_unavailable",
                                        "allow_no_indices",
                                        "expand_wildcards",
                                        "ignore_throttled",
                                        "allow_partial_search_results",
                                        "batched_reduce_size",
                                        "ccs_minimize_roundtrips",
                                        "max_concurrent_shard_requests",
                                        "pre_filter_shard_size",
                                        "preference",
                                        "request_cache",
                                        "routing",
                                        "search_type",
                                        "track_scores",
                                        "track_total_hits",
                                        "typed_keys",
                                        "_source",
                                        "_source_includes",
                                        "_source_excludes",
                                        "_source_exclude_vectors",
                                        "size",
                                        "from"};
constexpr std::string_view kCount[] = {"ignore_unavailable", "allow_no_indices", "expand_wildcards",
                                       "ignore_throttled",   "preference",       "routing"};
// Elasticsearch knows them.
constexpr std::string_view kNotHere[] = {"q",
                                         "df",
                                         "analyzer",
                                         "analyze_wildcard",
                                         "default_operator",
                                         "lenient",
                                         "explain",
                                         "sort",
                                         "scroll",
                                         "stats",
                                         "stored_fields",
                                         "docvalue_fields",
                                         "suggest_field",
                                         "suggest_mode",
                                         "suggest_size",
                                         "suggest_text",
                                         "terminate_after",
                                         "rest_total_hits_as_int",
                                         "min_score",
                                         "version",
                                         "version_type",
                                         "seq_no_primary_term",
                                         "if_seq_no",
                                         "if_primary_term",
                                         "lang",
                                         "_source",
                                         "_source_includes",
                                         "_source_excludes",
                                         "_source_exclude_vectors",
                                         "slices",
                                         "scroll_size",
                                         "conflicts",
                                         "force_synthetic_source",
                                         "include_named_queries_score"};

struct Operation {
  std::string_view name;
  Names known;
};
constexpr Operation kOperations[] = {{"index", kIndices}, {"write", kWrite}, {"get", kGet},
                                     {"search", kSearch}, {"count", kCount}, {"info", {}}};

bool IsOne(Names of, std::string_view name) { return std::ranges::find(of, name) != of.end(); }

std::unexpected<Error> Wrong(std::string reason) {
  return Fail(Code::kInvalid, std::move(reason), "illegal_argument_exception");
}

Result<void> CheckValue(const std::string& name, const std::string& value) {
  if (name == "pipeline" && value != "_none") {
    return Wrong("pipeline with id [" + value + "] does not exist");
  }
  if (name == "refresh" && !value.empty() && value != "true" && value != "false" &&
      value != "wait_for") {
    return Wrong("Unknown value for refresh: [" + value + "].");
  }
  if (name == "op_type" && value != "create" && value != "index") {
    return Wrong("opType must be 'create' or 'index', found: [" + value + "]");
  }
  if ((name == "require_alias" || name == "require_data_stream") && value != "false") {
    return Wrong("[" + name + "]: there are no aliases and no data streams here");
  }
  if ((name == "size" || name == "from") &&
      (value.empty() || value.size() > 9 || value.find_first_not_of("0123456789") != value.npos)) {
    return Wrong("Failed to parse int parameter [" + name + "] with value [" + value + "]");
  }
  return {};
}

}  // namespace

std::string_view OperationOf(std::string_view method, const std::vector<std::string>& path) {
  if (path.empty()) return "info";
  const std::string& last = path.size() > 1 ? path[1] : path[0];
  if (last == "_search" || last == "_count") return std::string_view(last).substr(1);
  if (last == "_bulk" || last == "_create" || last == "_update") return "write";
  if (last == "_doc") return method == "GET" || method == "HEAD" ? "get" : "write";
  const bool whole = path.size() == 1 && !last.starts_with('_');
  return whole || last == "_mapping" || last == "_refresh" ? "index" : "";
}

Result<void> CheckParameters(std::string_view operation, std::string_view target,
                             std::string_view raw_query) {
  const auto* found = std::ranges::find(kOperations, operation, &Operation::name);
  if (found == std::end(kOperations)) return {};
  for (const auto& [name, value] : ParseQuery(raw_query)) {
    if (!IsOne(kAlways, name) && !IsOne(found->known, name)) {
      if (IsOne(kNotHere, name)) {
        return Fail(Code::kInvalid, "[" + name + "] is not supported here",
                    "action_request_validation_exception");
      }
      return Wrong("request [" + std::string(target) + "] contains unrecognized parameter: [" +
                   name + "]");
    }
    TRY(CheckValue(name, value));
  }
  return {};
}

}  // namespace samovar::es
