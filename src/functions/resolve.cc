// Resolve: the way of every invocation through the registry.

#include <fmt/format.h>

#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

constexpr auto kPendingWait = std::chrono::minutes(5);

Error NotRunnable(const VersionRecord& version) {
  if (version.state == "Failed" && version.state_reason_code == "InvalidConfiguration") {
    return Error{Code::kInvalid,
                 "Lambda could not unzip the deployment package. " + version.state_reason,
                 "InvalidZipFileException"};
  }
  return Error{
      Code::kConflict,
      fmt::format("The operation cannot be performed at this time. The function is "
                  "currently in the following state: {}{}{}",
                  version.state, version.state_reason.empty() ? "" : ": ", version.state_reason),
      "ResourceConflictException"};
}

}  // namespace

Task<Result<Resolved>> LambdaRegistry::Resolve(std::string name, std::string qualifier) {
  CO_TRY(const auto target, ParseTarget(name, qualifier));
  std::shared_ptr<LoopTimer> timer;
  const auto give_up = std::chrono::steady_clock::now() + kPendingWait;
  for (;;) {
    const auto function = Find(target.name);
    const auto asked =
        target.qualifier.empty() ? std::string_view("$LATEST") : std::string_view(target.qualifier);
    if (!function) co_return std::unexpected(MissingFunction(target.name, asked));
    VersionRecordPtr version;
    if (asked == "$LATEST") {
      version = function->serving ? function->serving : function->latest;
    } else {
      auto number = target.qualifier;
      if (const auto alias = function->aliases.find(number); alias != function->aliases.end()) {
        const auto& route = alias->second;
        number = route.version;
        if (!route.second_version.empty()) {
          const auto drawn = options_.random ? options_.random()
                                             : std::uniform_real_distribution<double>()(generator_);
          if (drawn < route.second_weight) number = route.second_version;
        }
      }
      if (number == "$LATEST") {
        version = function->serving ? function->serving : function->latest;
      } else if (IsVersionNumber(number)) {
        const auto found = function->versions.find(std::stoull(number));
        if (found != function->versions.end()) version = found->second;
      }
      if (!version) co_return std::unexpected(MissingFunction(target.name, asked));
    }
    if (version->runnable) {
      co_return Resolved{version->runnable, FunctionArn(options_, target.name, target.qualifier),
                         function->reserved_concurrency, function->ProvisionedTotal()};
    }
    if (version->state != "Pending" || std::chrono::steady_clock::now() >= give_up) {
      co_return std::unexpected(NotRunnable(*version));
    }
    if (!timer) timer = std::make_shared<LoopTimer>(co_await asio::this_coro::executor);
    timer->expires_at(give_up);
    waiters_[target.name].push_back(timer);
    co_await timer->async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
  }
}

}  // namespace samovar
