// How a change is made: under the name's lock, written whole, published after.

#include <algorithm>

#include "functions/function_ref.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

// Every version of a function that may have instances, with what it is made of.
void ForEachRunnable(const FunctionPtr& function, auto&& visit) {
  if (!function) return;
  const auto one = [&](const VersionRecordPtr& version) {
    if (version && version->runnable) visit(*version);
  };
  one(function->latest);
  one(function->serving);
  for (const auto& [number, version] : function->versions) one(version);
}

}  // namespace

LambdaRegistry::Answer LambdaRegistry::Change(std::string name, Error missing, Edit edit) {
  const auto guard = co_await changing_.Lock("f/" + name);
  const auto before = Find(name);
  if (!before) co_return std::unexpected(std::move(missing));
  auto after = std::make_shared<FunctionRecord>(*before);
  CO_TRY(auto answer, edit(*after));
  CO_TRY(co_await Store(before, after));
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::ChangeLayer(std::string name, LayerEdit edit) {
  const auto guard = co_await changing_.Lock("l/" + name);
  const auto before = FindLayer(name);
  auto after = std::make_shared<LayerRecord>(before ? *before : LayerRecord{name, 1, {}});
  CO_TRY(auto answer, edit(*after));
  WriteBatch batch;
  batch.Put(LayerKey(name), WriteLayer(*after));
  CO_TRY(co_await Write(std::move(batch)));
  layers_[name] = std::move(after);
  if (before && before->versions.size() > layers_[name]->versions.size()) {
    ScheduleCollect(options_.collect_delay);
  }
  co_return answer;
}

Task<Result<void>> LambdaRegistry::Write(WriteBatch batch) {
  auto& kv = kv_;
  auto shared = std::make_shared<WriteBatch>(std::move(batch));
  co_return co_await RunBlocking(pool_, [&kv, shared] { return kv.Write(std::move(*shared)); });
}

WriteBatch LambdaRegistry::Differences(const FunctionPtr& before, const FunctionPtr& after) {
  WriteBatch batch;
  const auto& name = after ? after->name : before->name;
  if (after) {
    batch.Put(FunctionKey(name), WriteFunction(*after));
    for (const auto& [number, version] : after->versions) {
      const bool same =
          before && before->versions.contains(number) && before->versions.at(number) == version;
      if (!same) batch.Put(VersionKey(name, number), WriteVersion(*version));
    }
  } else {
    batch.Delete(FunctionKey(name));
  }
  if (before) {
    for (const auto& [number, version] : before->versions) {
      if (!after || !after->versions.contains(number)) batch.Delete(VersionKey(name, number));
    }
  }
  return batch;
}

Task<Result<void>> LambdaRegistry::Store(FunctionPtr before, FunctionPtr after) {
  CO_TRY(co_await Write(Differences(before, after)));
  Publish(before, after);  // nothing is awaited between the write and this
  co_return Result<void>();
}

void LambdaRegistry::Publish(const FunctionPtr& before, const FunctionPtr& after) {
  const auto name = after ? after->name : before->name;
  if (before) reserved_total_ -= before->Claimed();
  if (after) reserved_total_ += after->Claimed();
  if (before) {
    for (const auto& [qualifier, url] : before->urls) urls_.erase(url.id);
  }
  if (after) {
    for (const auto& [qualifier, url] : after->urls) urls_[url.id] = {name, qualifier};
    functions_[name] = after;
    names_.insert(name);
  } else {
    functions_.erase(name);
    names_.erase(name);
  }
  Retire(before, after);
  Wake(name);
  const auto provisioned = [](const FunctionPtr& f) { return f && !f->provisioned.empty(); };
  if (!provisioned(before) && !provisioned(after)) return;
  for (const auto& callback : on_provisioned_) callback();
}

void LambdaRegistry::Retire(const FunctionPtr& before, const FunctionPtr& after) {
  std::set<std::string> kept;
  ForEachRunnable(after,
                  [&](const VersionRecord& version) { kept.insert(version.runnable->Key()); });
  std::vector<std::string> gone;
  ForEachRunnable(before, [&](const VersionRecord& version) {
    if (kept.contains(version.runnable->Key())) return;
    RetiredVersion retired{version.runnable, {version.package}};
    for (const auto& layer : version.layers) retired.packages.push_back(layer.package);
    if (!version.image.empty()) retired.packages.push_back(version.image);
    retired_.push_back(std::move(retired));
    gone.push_back(version.runnable->Key());
  });
  if (gone.empty()) return;
  for (const auto& key : gone) {
    for (const auto& callback : on_retired_) callback(key);
  }
  ScheduleCollect(options_.collect_delay);
}

void LambdaRegistry::Wake(const std::string& name) {
  const auto waiting = waiters_.find(name);
  if (waiting == waiters_.end()) return;
  const auto timers = std::move(waiting->second);
  waiters_.erase(waiting);
  for (const auto& timer : timers) timer->cancel();
}

}  // namespace samovar
