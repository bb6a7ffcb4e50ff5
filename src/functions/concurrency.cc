// Reserved concurrency, and the account's limits and use.

#include <fmt/format.h>

#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

namespace json = boost::json;

// No bound is set on the sum of all code: the largest number that every JSON reader keeps exact.
constexpr std::int64_t kUnbounded = (std::int64_t{1} << 53) - 1;

}  // namespace

int LambdaRegistry::ReservedByOthers(std::string_view name) const {
  int sum = 0;
  for (const auto& [other, function] : functions_) {
    if (other != name) sum += function->Claimed();
  }
  return sum;
}

// What must stay for functions without a reservation: AWS's 100, or a tenth of a small account.
int LambdaRegistry::MinimumUnreserved() const {
  return options_.account_concurrency >= 1000 ? 100 : options_.account_concurrency / 10;
}

LambdaRegistry::Answer LambdaRegistry::PutFunctionConcurrency(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  if (!target.qualifier.empty()) {
    co_return InvalidParameter(
        "This operation is permitted on Lambda functions only. Aliases and versions do not support "
        "this operation. Please specify either a function name or an unqualified function ARN.");
  }
  // The sum over all functions is at stake: two such changes must not cross.
  const auto account = co_await changing_.Lock("account");
  const auto wanted = static_cast<int>(IntOf(input, "ReservedConcurrentExecutions").value_or(0));
  const auto edit = [this, wanted](FunctionRecord& function) -> Result<json::object> {
    const auto minimum = MinimumUnreserved();
    if (const auto provisioned = function.ProvisionedTotal(); wanted < provisioned) {
      return InvalidParameter(
          fmt::format(" ReservedConcurrentExecutions  {} should not be lower than function's total "
                      "provisioned concurrency [{}].",
                      wanted, provisioned));
    }
    if (wanted > 0 &&
        options_.account_concurrency - ReservedByOthers(function.name) - wanted < minimum) {
      return InvalidParameter(
          fmt::format("Specified ReservedConcurrentExecutions for function decreases account's "
                      "UnreservedConcurrentExecution below its minimum value of [{}].",
                      minimum));
    }
    function.reserved_concurrency = wanted;
    return json::object{{"ReservedConcurrentExecutions", wanted}};
  };
  co_return co_await Change(target.name, MissingFunction(target.name, "$LATEST"), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetFunctionConcurrency(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto function = Find(target.name);
  if (!function) co_return std::unexpected(MissingFunction(target.name));
  json::object answer;
  if (function->reserved_concurrency) {
    answer["ReservedConcurrentExecutions"] = *function->reserved_concurrency;
  }
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::DeleteFunctionConcurrency(json::object input) {
  CO_TRY(const auto target, TargetOf(input));
  const auto edit = [](FunctionRecord& function) -> Result<json::object> {
    function.reserved_concurrency.reset();
    return json::object();
  };
  co_return co_await Change(target.name, MissingFunction(target.name), edit);
}

LambdaRegistry::Answer LambdaRegistry::GetAccountSettings(json::object) {
  std::uint64_t code = 0;
  const auto add = [&](const VersionRecord& version) {
    code += static_cast<std::uint64_t>(IntOf(version.config, "CodeSize").value_or(0));
  };
  for (const auto& [name, function] : functions_) {
    add(*function->latest);
    for (const auto& [number, version] : function->versions) add(*version);
  }
  for (const auto& [name, layer] : layers_) {
    for (const auto& [number, version] : layer->versions) code += version.size;
  }
  const auto account = options_.account_concurrency;
  co_return json::object{
      {"AccountLimit",
       json::object{{"TotalCodeSize", kUnbounded},
                    {"CodeSizeUnzipped", options_.max_unpacked.count},
                    {"CodeSizeZipped", options_.max_package.count},
                    {"ConcurrentExecutions", account},
                    {"UnreservedConcurrentExecutions", account - ReservedByOthers("")}}},
      {"AccountUsage", json::object{{"TotalCodeSize", code}, {"FunctionCount", names_.size()}}}};
}

}  // namespace samovar
