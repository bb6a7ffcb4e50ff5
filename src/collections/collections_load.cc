// Collections, its part that opens what is there.

#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "collections/collections.h"
#include "collections/collections_files.h"
#include "collections/meta.h"
#include "os/descriptors.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr int kRetryShare = 10;  // of the time goes to tries at most

}  // namespace

void Empty(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    fs::remove_all(entry.path(), ignored);
  }
}

Result<void> CheckRoomForFiles(std::uint64_t eighths) {
  const auto [open, limit] = CountDescriptors();
  if (open < limit / 8 * eighths) return {};
  return Fail(Code::kThrottled,
              "too many collections: " + std::to_string(open) + " files are open of " +
                  std::to_string(limit) +
                  " that the server may have; delete some, or give it more (ulimit -n, systemd's "
                  "LimitNOFILE)",
              "TooManyCollections");
}

Result<void> Collections::Load() {
  for (const auto& folder : {options_.directory, options_.live}) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return Fail(Code::kUnavailable, "make " + folder + ": " + error.message());
  }
  std::error_code error;
  fs::permissions(options_.directory, fs::perms::owner_all, error);
  if (error) return Fail(Code::kUnavailable, options_.directory + ": " + error.message());
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(options_.directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!CheckCollectionName(name) && !IsPinName(name)) continue;
    if (fs::exists(entry.path().string() + kMeta)) {
      names.push_back(name);
    } else {  // it was just being made, or deleted
      fs::remove_all(entry.path(), error);
      Empty(PathsOf(name).live);
    }
  }
  if (error) return Fail(Code::kUnavailable, options_.directory + ": " + error.message());
  // Of those that were deleted: while the server ran, sandboxes may have had their folders mounted.
  for (const auto& entry : fs::directory_iterator(options_.live, error)) {
    if (!fs::exists(PathsOf(entry.path().filename().string()).kept)) ::rmdir(entry.path().c_str());
  }
  std::ranges::sort(names);
  for (const auto& name : names) {
    Entry entry = LoadOne(name);
    if (entry.info.error) {
      LogError("collection {} is not served: {}", name, entry.info.error->message);
    }
    entries_.emplace(name, std::move(entry));
  }
  return {};
}

Collections::Entry Collections::LoadOne(const std::string& name) const {
  const SteadyTime began = clock_.Now();
  const CollectionPaths paths = PathsOf(name);
  auto open = [&]() -> Result<Entry> {
    TRY(const std::string text, ReadFile(paths.kept + kMeta));
    TRY(const auto meta, DecodeMeta(text, paths.kept + kMeta));
    Entry entry{{name, meta.schema, meta.created, std::nullopt, meta.about}, nullptr};
    auto open_files = [&]() -> Result<std::shared_ptr<Collection>> {
      TRY(CheckRoomForFiles(7));
      return Collection::Open(disk_, clock_, paths, meta.schema, meta.hash_seed, options_.each);
    };
    auto opened = open_files();
    if (opened) {
      entry.collection = std::move(*opened);
    } else {
      entry.info.error = opened.error();
    }
    return entry;
  };
  auto entry = open();
  if (!entry) entry = Entry{{name, {}, {}, entry.error(), {}}, nullptr};
  if (entry->collection) {
    const auto stats = entry->collection->Stats();
    LogInfo("collection {}: {} rows at generation {}, opened in {:.1f} ms", name, stats.rows,
            stats.generation,
            std::chrono::duration<double, std::milli>(clock_.Now() - began).count());
  }
  return std::move(*entry);
}

// Those that a disk or a machine that was full kept from being opened. What is damaged stays so.
void Collections::RetryOpening() {
  const SteadyTime began = clock_.Now();
  std::unique_lock change(change_mutex_, std::try_to_lock);
  if (!change || began < retry_at_) return;
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    for (const auto& [name, entry] : entries_) {
      if (!entry.info.error) continue;
      const Code code = entry.info.error->code;
      if (code == Code::kUnavailable || code == Code::kThrottled) names.push_back(name);
    }
  }
  for (const auto& name : names) {
    Entry entry = LoadOne(name);
    std::lock_guard lock(mutex_);
    entries_.insert_or_assign(name, std::move(entry));
    if (stopping_) break;
  }
  retry_at_ = clock_.Now() + std::max(options_.retry, kRetryShare * (clock_.Now() - began));
}

}  // namespace samovar
