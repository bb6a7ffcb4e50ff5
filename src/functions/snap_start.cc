// SnapStart: a published version becomes Active when it was initialised once, off the callers' way.

#include <boost/asio/co_spawn.hpp>

#include "functions/configuration.h"
#include "functions/lambda_registry.h"
#include "functions/version_record.h"

namespace samovar {
namespace {

constexpr auto kFirstRetry = std::chrono::milliseconds(100);
constexpr int kTries = 6;  // while what is below is down or full: some seconds

std::string_view PreparingReason(const Error& error) {
  if (!error.reason.empty()) return error.reason;
  switch (error.code) {
    case Code::kTimeout:
      return "FunctionError.InitTimeout";
    case Code::kTooLarge:
      return "FunctionError.InitResourceExhausted";
    case Code::kInvalid:
      return "FunctionError";
    default:
      return "InternalError";
  }
}

bool IsPassing(const Error& error) {
  return error.code == Code::kUnavailable || error.code == Code::kOverloaded;
}

}  // namespace

bool LambdaRegistry::NeedsPreparing(const VersionRecord& version) const {
  return options_.prepare && version.state == "Pending" && HasSnapStart(version);
}

VersionRecordPtr LambdaRegistry::FindPreparing(const std::string& name,
                                               std::uint64_t number) const {
  const auto function = Find(name);
  if (!function || !function->versions.contains(number)) return nullptr;
  const auto& version = function->versions.at(number);
  return NeedsPreparing(*version) ? version : nullptr;
}

void LambdaRegistry::StartPreparing(const std::string& name, std::uint64_t number) {
  if (!preparing_.emplace(name, number).second) return;
  asio::co_spawn(loop_, Prepare(alive_, name, number), LogEscape);
}

// A version whose instances were begun before it was published, and never will be.
void LambdaRegistry::RetireUnpublished(const VersionRecord& record, const VersionPtr& version) {
  retired_.push_back({version, PackagesOf(record)});
  for (const auto& callback : on_retired_) callback(version->Key());
  ScheduleCollect(options_.collect_delay);
}

// Initialises the version, more than once where what is below was down or full. nullopt: it is
// ready, or the registry is gone.
Task<std::optional<Error>> LambdaRegistry::TryPrepare(std::weak_ptr<LambdaRegistry*> alive,
                                                      VersionPtr version) {
  auto wait = kFirstRetry;
  for (int tries = 1;; ++tries, wait *= 2) {
    const auto registry = alive.lock();
    if (!registry) co_return std::nullopt;
    auto preparing = (*registry)->options_.prepare(version);
    const auto done = co_await std::move(preparing);
    if (done) co_return std::nullopt;
    if (!IsPassing(done.error()) || tries == kTries) co_return done.error();
    LoopTimer timer(co_await asio::this_coro::executor, wait);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
  }
}

// `error`: why it cannot run; else `runnable` goes out. False where the record is another by now.
bool LambdaRegistry::FinishPreparing(FunctionRecord& function, const VersionRecord& begun,
                                     const VersionPtr& runnable,
                                     const std::optional<Error>& error) const {
  const auto number = std::stoull(begun.number);
  const auto now = FindPreparing(function.name, number);
  if (!now || now->instance_revision != begun.instance_revision) return false;
  auto version = std::make_shared<VersionRecord>(*now);
  if (error) {
    SetFailed(*version, *error, runnable ? PreparingReason(*error) : ReasonCode(*error));
  } else {
    SetActive(*version);
    version->runnable = runnable;
  }
  function.versions[number] = std::move(version);
  return true;
}

// Static, as it goes on after the registry is gone: `alive` is asked after every wait.
Task<> LambdaRegistry::Prepare(std::weak_ptr<LambdaRegistry*> alive, std::string name,
                               std::uint64_t number) {
  const auto self = [&]() -> LambdaRegistry* {
    const auto registry = alive.lock();
    return registry ? *registry : nullptr;
  };
  // Again where its tags changed meanwhile, or another function has the name now.
  while (const auto record = self() ? self()->FindPreparing(name, number) : nullptr) {
    auto& packages = self()->packages_;
    const auto dirs = co_await RunBlocking(
        self()->pool_, [&packages, record] { return UnpackAll(packages, PackagesOf(*record)); });
    if (!self()) co_return;
    // What is started must be what this revision stands for, tags included.
    if (self()->FindPreparing(name, number) != record) continue;
    VersionPtr runnable;
    std::optional<Error> error;
    if (dirs) {
      runnable = MakeRunnable(self()->options_, *self()->Find(name), *record, dirs->front(),
                              {dirs->begin() + 1, dirs->end()});
      error = co_await TryPrepare(alive, runnable);
      if (!self()) co_return;
    } else {
      error = dirs.error();
    }
    bool stored = false;
    co_await Settle(alive, name, [&](LambdaRegistry& registry, FunctionRecord& function) {
      return stored = registry.FinishPreparing(function, *record, runnable, error);
    });
    if (!self()) co_return;
    if (runnable && (error || !stored)) self()->RetireUnpublished(*record, runnable);
  }
  if (self()) self()->preparing_.erase({name, number});
}

}  // namespace samovar
