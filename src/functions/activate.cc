// What goes on after an answer: unpacking what was created or updated, and collecting packages
// that nothing uses any more.

#include <boost/asio/co_spawn.hpp>

#include "base/ids.h"
#include "base/log.h"
#include "functions/configuration.h"
#include "functions/images.h"
#include "functions/lambda_registry.h"
#include "functions/version_record.h"
#include "images/image_store.h"

namespace samovar {
namespace {

constexpr auto kFirstRetry = std::chrono::milliseconds(50);
constexpr auto kLastRetry = std::chrono::seconds(5);
constexpr auto kCollectAgain = std::chrono::minutes(65);  // the store keeps what is an hour old

bool IsUnfinished(const VersionRecord& version) {
  return version.state == "Pending" || version.update_status == "InProgress";
}

VersionPtr RunnableFrom(const RegistryOptions& options, const FunctionRecord& function,
                        const VersionRecord& version, const std::vector<std::string>& dirs) {
  if (dirs.empty()) return MakeRunnable(options, function, version, "", {});  // an image
  return MakeRunnable(options, function, version, dirs.front(), {dirs.begin() + 1, dirs.end()});
}

}  // namespace

// Background work ends with a value; what else it ends with is cancellation, or a bug to report.
void LambdaRegistry::LogEscape(std::exception_ptr failed) {
  if (!failed) return;
  try {
    std::rethrow_exception(failed);
  } catch (const std::exception& error) {
    LogError("background work of the registry ended: {}", error.what());
  }
}

Result<void> LambdaRegistry::LoadRunnable(FunctionRecord& function) {
  const auto load = [&](VersionRecordPtr& slot) {
    if (!slot || IsUnfinished(*slot) || slot->state != "Active") return;
    auto version = std::make_shared<VersionRecord>(*slot);
    auto dirs = UnpackAll(packages_, PackagesOf(*version));
    if (const auto there = CheckImage(*version, options_); !there) {
      dirs = std::unexpected(there.error());
    }
    if (dirs) {
      version->runnable = RunnableFrom(options_, function, *version, *dirs);
    } else {
      LogError("function {}:{} cannot run: {}", function.name, version->number,
               dirs.error().message);
      SetFailed(*version, dirs.error(), ReasonCode(dirs.error()));
    }
    slot = std::move(version);
  };
  load(function.latest);
  load(function.serving);
  for (auto& [number, version] : function.versions) load(version);
  return {};
}

void LambdaRegistry::StartActivation(const std::string& name) {
  const auto function = Find(name);
  if (!function) return;
  bool unfinished = IsUnfinished(*function->latest);
  for (const auto& [number, version] : function->versions) {
    if (NeedsPreparing(*version)) {
      StartPreparing(name, number);
    } else {
      unfinished |= IsUnfinished(*version);
    }
  }
  if (!unfinished) return;
  asio::co_spawn(loop_, Activate(alive_, name), LogEscape);
}

// Static, as it goes on after the registry is gone: `alive` is asked after every wait.
Task<> LambdaRegistry::Activate(std::weak_ptr<LambdaRegistry*> alive, std::string name) {
  auto self = [&]() -> LambdaRegistry* {
    const auto registry = alive.lock();
    return registry ? *registry : nullptr;
  };
  FunctionPtr function = self() ? self()->Find(name) : nullptr;
  if (!function) co_return;
  const auto revision = function->latest->instance_revision;
  const auto hashes = PackagesOf(*function->latest);
  function.reset();
  auto& packages = self()->packages_;
  auto dirs = co_await RunBlocking(self()->pool_,
                                   [&packages, hashes] { return UnpackAll(packages, hashes); });
  std::vector<std::string> warnings;
  if (dirs) {
    if (!self()) co_return;
    function = self()->Find(name);
    if (!function || function->latest->instance_revision != revision) co_return;
    if (const auto there = CheckImage(*function->latest, self()->options_); !there) {
      dirs = std::unexpected(there.error());
    }
  }
  if (dirs) {
    const auto version = RunnableFrom(self()->options_, *function, *function->latest, *dirs);
    auto examined = co_await Examine(alive, version, std::string(function->CheckTag()));
    function.reset();
    if (examined) {
      warnings = std::move(*examined);
    } else {
      dirs = std::unexpected(examined.error());
    }
  }
  co_await Settle(alive, name, [&](LambdaRegistry& registry, FunctionRecord& changed) {
    // Another function of that name: its own activation sees to it.
    if (changed.latest->instance_revision != revision) return false;
    registry.FinishActivation(changed, dirs, warnings);
    return true;
  });
}

// The warnings, or why it cannot run. What the examiner cannot do is no reason against a package.
Task<Result<std::vector<std::string>>> LambdaRegistry::Examine(std::weak_ptr<LambdaRegistry*> alive,
                                                               VersionPtr version,
                                                               std::string tag) {
  decltype(RegistryOptions::examine) examine;
  if (const auto registry = alive.lock()) examine = (*registry)->options_.examine;
  std::vector<std::string> warnings;
  if (!examine || tag == "off") co_return warnings;
  auto found = co_await examine(version);
  if (!found) {
    LogWarn("function {}: its package was not checked: {}", version->function,
            found.error().message);
    warnings.push_back("the package was not checked: " + found.error().message);
    co_return warnings;
  }
  warnings = std::move(found->warnings);
  if (found->hopeless.empty()) co_return warnings;
  if (tag != "warn") {
    co_return Fail(Code::kInvalid, found->hopeless, "InvalidParameterValueException",
                   version->image ? "InvalidImage" : "InvalidZipFileException");
  }
  warnings.insert(warnings.begin(), std::move(found->hopeless));
  co_return warnings;
}

// Changes a function as its background work found, however often the write must be tried. Nothing
// is done where the function is gone, or `edit` says false.
Task<> LambdaRegistry::Settle(std::weak_ptr<LambdaRegistry*> alive, std::string name,
                              SettleEdit edit) {
  const auto self = [&]() -> LambdaRegistry* {
    const auto registry = alive.lock();
    return registry ? *registry : nullptr;
  };
  for (std::chrono::nanoseconds wait = kFirstRetry;;
       wait = std::min<std::chrono::nanoseconds>(wait * 2, kLastRetry)) {
    if (!self()) co_return;
    {
      const auto guard = co_await self()->changing_.Lock("f/" + name);
      if (!self()) co_return;
      const auto before = self()->Find(name);
      if (!before) co_return;
      auto after = std::make_shared<FunctionRecord>(*before);
      if (!edit(*self(), *after)) co_return;
      auto& kv = self()->kv_;
      const auto batch = std::make_shared<WriteBatch>(Differences(before, after));
      const auto written =
          co_await RunBlocking(self()->pool_, [&kv, batch] { return kv.Write(std::move(*batch)); });
      if (!self()) co_return;
      if (written) {
        self()->Publish(before, after);
        co_return;
      }
      LogError("function {}: keep its state: {}", name, written.error().message);
    }
    LoopTimer timer(co_await asio::this_coro::executor, wait);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
  }
}

void LambdaRegistry::FinishActivation(FunctionRecord& function,
                                      const Result<std::vector<std::string>>& dirs,
                                      const std::vector<std::string>& warnings) {
  for (auto& [number, slot] : function.versions) {
    if (!IsUnfinished(*slot) || NeedsPreparing(*slot)) continue;
    auto version = std::make_shared<VersionRecord>(*slot);
    if (dirs) {
      SetActive(*version);
      version->warnings = warnings;
      version->runnable = RunnableFrom(options_, function, *version, *dirs);
    } else {
      SetFailed(*version, dirs.error(), ReasonCode(dirs.error()));
    }
    slot = std::move(version);
  }
  if (!IsUnfinished(*function.latest)) return;
  auto latest = std::make_shared<VersionRecord>(*function.latest);
  if (dirs) {
    SetActive(*latest);
    latest->warnings = warnings;
    latest->runnable = RunnableFrom(options_, function, *latest, *dirs);
  } else if (function.serving) {
    // The update failed: what served before goes on, and is what the API shows.
    *latest = *function.serving;
    latest->update_status = "Failed";
    latest->update_reason = dirs.error().message;
    latest->update_reason_code = ReasonCode(dirs.error());
  } else {
    SetFailed(*latest, dirs.error(), ReasonCode(dirs.error()));
  }
  latest->revision_id = NewUuid();
  function.latest = std::move(latest);
  function.serving = nullptr;
}

void LambdaRegistry::ScheduleCollect(std::chrono::milliseconds delay) {
  const auto at = std::chrono::steady_clock::now() + delay;
  if (delay < kCollectAgain) collect_again_ = true;
  if (collect_timer_) {
    if (at < collect_timer_->expiry()) collect_timer_->expires_at(at);  // wakes the one who waits
    return;
  }
  collect_timer_ = std::make_shared<LoopTimer>(loop_, at);
  asio::co_spawn(loop_, CollectLater(alive_, collect_timer_), LogEscape);
}

Task<> LambdaRegistry::CollectLater(std::weak_ptr<LambdaRegistry*> alive,
                                    std::shared_ptr<LoopTimer> timer) {
  while (!alive.expired() && std::chrono::steady_clock::now() < timer->expiry()) {
    co_await timer->async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
  }
  std::set<std::string> used;
  PackageStore* packages = nullptr;
  ImageStore* images = nullptr;
  BlockingPool* pool = nullptr;
  if (const auto registry = alive.lock()) {
    used = (*registry)->UsedPackages();
    packages = &(*registry)->packages_;
    images = (*registry)->options_.images;
    pool = &(*registry)->pool_;
  }
  if (!pool) co_return;
  const auto collected =
      co_await RunBlocking(*pool, [packages, used] { return packages->Collect(used); });
  if (!collected) LogWarn("collect packages: {}", collected.error().message);
  if (images) {
    const auto done = co_await RunBlocking(*pool, [images, used] { return images->Collect(used); });
    if (!done) LogWarn("collect images: {}", done.error().message);
  }
  const auto registry = alive.lock();
  if (!registry) co_return;
  auto& self = **registry;
  self.collect_timer_ = nullptr;
  // What was not an hour old yet, or still had instances, was kept: look again later.
  if (std::exchange(self.collect_again_, false) || !self.retired_.empty()) {
    self.ScheduleCollect(kCollectAgain);
  }
}

}  // namespace samovar
