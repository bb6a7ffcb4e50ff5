#include "wire/runtime_api.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace samovar {
namespace {

constexpr std::string_view kPrefix = "/2018-06-01/runtime/";
constexpr std::string_view kInvocation = "invocation/";
constexpr std::size_t kMaxType = 256;

RuntimeRoute Only(std::string_view method, std::string_view wanted, RuntimeCall call,
                  std::string_view id = {}) {
  return {.call = method == wanted ? call : RuntimeCall::kWrongMethod, .request_id = id};
}

}  // namespace

RuntimeRoute MatchRuntimeRoute(std::string_view method, std::string_view path) {
  if (!path.starts_with(kPrefix)) return {};
  path.remove_prefix(kPrefix.size());
  if (path == "invocation/next") return Only(method, "GET", RuntimeCall::kNext);
  if (path == "init/error") return Only(method, "POST", RuntimeCall::kInitError);
  if (path == "restore/next") return Only(method, "GET", RuntimeCall::kRestoreNext);
  if (path == "restore/error") return Only(method, "POST", RuntimeCall::kRestoreError);
  if (!path.starts_with(kInvocation)) return {};
  path.remove_prefix(kInvocation.size());
  std::size_t slash = path.find('/');
  if (slash == std::string_view::npos || slash == 0) return {};
  std::string_view id = path.substr(0, slash);
  std::string_view what = path.substr(slash + 1);
  if (what == "response") return Only(method, "POST", RuntimeCall::kResponse, id);
  if (what == "error") return Only(method, "POST", RuntimeCall::kError, id);
  return {};
}

std::string RuntimeErrorBody(std::string_view type, std::string_view message) {
  return boost::json::serialize(
      boost::json::object{{"errorMessage", message}, {"errorType", type}});
}

std::string FunctionErrorType(std::string_view error_json, std::string_view fallback) {
  boost::json::error_code error;
  boost::json::value value = boost::json::parse(error_json, error);
  if (error || !value.is_object()) return std::string(fallback);
  const boost::json::value* type = value.get_object().if_contains("errorType");
  if (!type || !type->is_string() || type->get_string().empty()) return std::string(fallback);
  return std::string(std::string_view(type->get_string()).substr(0, kMaxType));
}

}  // namespace samovar
