// Small settings that are kept and answered: runtime management and recursion detection.

#include "functions/configuration.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {

namespace json = boost::json;

LambdaRegistry::Answer LambdaRegistry::GetRuntimeManagementConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  CO_TRY(const auto found, FindVersion(target));
  const auto& settings = found.function->runtime_management;
  const auto set = settings.find(target.qualifier == "$LATEST" ? "" : target.qualifier);
  auto answer = set == settings.end() ? json::object{{"UpdateRuntimeOn", "Auto"}} : set->second;
  answer["FunctionArn"] =
      FunctionArn(options_, target.name, target.qualifier.empty() ? "$LATEST" : target.qualifier);
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::PutRuntimeManagementConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  CO_TRY(FindVersion(target));
  if (TextOf(input, "UpdateRuntimeOn") == "Manual" && !Has(input, "RuntimeVersionArn")) {
    co_return InvalidParameter("RuntimeVersionArn is required where UpdateRuntimeOn is Manual.");
  }
  const auto edit = [this, input, target](FunctionRecord& function) -> Result<json::object> {
    json::object set{{"UpdateRuntimeOn", TextOf(input, "UpdateRuntimeOn")}};
    if (Has(input, "RuntimeVersionArn")) set["RuntimeVersionArn"] = input.at("RuntimeVersionArn");
    function.runtime_management[target.qualifier == "$LATEST" ? "" : target.qualifier] = set;
    set["FunctionArn"] =
        FunctionArn(options_, target.name, target.qualifier.empty() ? "$LATEST" : target.qualifier);
    return set;
  };
  co_return co_await Change(target.name, MissingFunction(target.name), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetFunctionRecursionConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(MissingFunction(target.name));
  co_return json::object{{"RecursiveLoop", function->recursive_loop}};
}

LambdaRegistry::Answer LambdaRegistry::PutFunctionRecursionConfig(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto edit = [input](FunctionRecord& function) -> Result<json::object> {
    function.recursive_loop = TextOf(input, "RecursiveLoop");
    return json::object{{"RecursiveLoop", function.recursive_loop}};
  };
  co_return co_await Change(target.name, MissingFunction(target.name), edit);
}

}  // namespace samovar
