#include "collections/collections.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <future>

#include "base/ids.h"
#include "base/log.h"
#include "collections/collections_files.h"
#include "collections/meta.h"
#include "os/priority.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kMostForFiles{2};
constexpr std::chrono::milliseconds kLookForFiles{2};

std::uint64_t NewSeed() {
  const std::string digits = RandomHex(16);
  std::uint64_t seed = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), seed, 16);
  return seed;
}

std::unexpected<Error> NoSuch(const std::string& name) {
  return Fail(Code::kNotFound, "there is no collection " + name, "NoSuchCollection");
}

}  // namespace

Collections::Collections(CollectionsOptions options, const Clock& clock, Disk& disk)
    : options_(std::move(options)), clock_(clock), disk_(disk) {}

CollectionPaths Collections::PathsOf(const std::string& name) const {
  return {options_.directory + "/" + name, options_.live + "/" + name};
}

Result<std::unique_ptr<Collections>> Collections::Open(CollectionsOptions options,
                                                       const Clock& clock, Disk& disk) {
  std::unique_ptr<Collections> collections(new Collections(std::move(options), clock, disk));
  TRY(collections->Load());
  collections->writer_ = std::thread([raw = collections.get()] { raw->WriteAll(); });
  auto graphs = [raw = collections.get()](Work work) { raw->MakeGraphs(work); };
  collections->grapher_ = std::thread(graphs, Work::kWhenIdle);
  collections->pressed_grapher_ = std::thread(graphs, Work::kNow);
  collections->tidier_ = std::thread([raw = collections.get()] { raw->Tidy(); });
  return collections;
}

Collections::~Collections() {
  std::vector<Pending> left;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(queue_);
    for (auto& [name, entry] : entries_) {
      if (entry.collection) entry.collection->StopFlush();
    }
  }
  queued_.notify_all();
  tidy_.notify_all();
  flushed_.notify_all();
  pressed_.notify_all();
  // The tidying thread looks at the one that makes graphs.
  for (auto* thread : {&writer_, &tidier_, &pressed_grapher_, &grapher_}) {
    if (thread->joinable()) thread->join();
  }
  for (auto& pending : left) pending.answer(Fail(Code::kUnavailable, "the server is stopping"));
}

Result<CollectionInfo> Collections::Create(const std::string& name, const Schema& schema,
                                           std::string about) {
  TRY(CheckCollectionName(name));
  TRY(CheckSchema(schema));
  std::lock_guard change(change_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (entries_.contains(name)) {
      return Fail(Code::kConflict, "collection " + name + " exists already", "CollectionExists");
    }
  }
  TRY(WaitForFiles());
  const CollectionPaths paths = PathsOf(name);
  const CollectionMeta meta{schema, NewSeed(), clock_.Wall(), std::move(about)};
  auto make = [&]() -> Result<std::shared_ptr<Collection>> {
    TRY(Collection::Create(disk_, paths));
    TRY(auto made, Collection::Open(disk_, clock_, paths, schema, meta.hash_seed, options_.each));
    TRY(disk_.SyncFolder(options_.live));
    TRY(disk_.SyncFolder(options_.directory));
    TRY(disk_.Replace(paths.kept + kMeta, EncodeMeta(meta)));
    return made;
  };
  auto made = make();
  if (!made) {
    std::error_code ignored;
    fs::remove_all(paths.kept, ignored);
    Empty(paths.live);
    return std::unexpected(made.error());
  }
  const CollectionInfo info{name, schema, meta.created, std::nullopt, meta.about};
  std::lock_guard lock(mutex_);
  entries_.emplace(name, Entry{info, std::move(*made)});
  return info;
}

// Files of one that was deleted stay open until whoever works on it just now lets go, which is soon
// (MarkDeleted).
Result<void> Collections::WaitForFiles() {
  const Deadline deadline = Deadline::After(clock_, kMostForFiles);
  while (true) {
    std::erase_if(deleted_, [](const auto& each) { return each.expired(); });
    auto room = CheckRoomForFiles(4);
    if (room || deleted_.empty() || deadline.Passed(clock_.Now())) return room;
    std::this_thread::sleep_for(kLookForFiles);
  }
}

Result<std::uint64_t> Collections::Pin(const std::string& name) {
  TRY(CheckCollectionName(name));
  std::lock_guard change(change_mutex_);
  TRY(const auto collection, Find(name));
  TRY(const std::string text, ReadFile(PathsOf(name).kept + kMeta));
  TRY(const auto meta, DecodeMeta(text, PathsOf(name).kept + kMeta));
  bool there = false;
  std::string pin;
  auto where = [&](std::uint64_t generation) -> Result<std::optional<CollectionPaths>> {
    pin = PinName(name, generation);
    const auto info = Describe(pin);
    if (!info) {
      TRY(WaitForFiles());
      return PathsOf(pin);
    }
    if (info->created != meta.created) {
      return Fail(Code::kConflict, pin + " is kept of an earlier collection of that name");
    }
    there = true;
    return std::optional<CollectionPaths>();
  };
  auto make = [&]() -> Result<std::uint64_t> {
    TRY(const std::uint64_t generation, collection->Freeze(where));
    if (there) return generation;
    const CollectionPaths paths = PathsOf(pin);
    TRY(auto kept,
        Collection::Open(disk_, clock_, paths, meta.schema, meta.hash_seed, options_.each));
    TRY(disk_.SyncFolder(options_.live));
    TRY(disk_.SyncFolder(options_.directory));
    TRY(disk_.Replace(paths.kept + kMeta, EncodeMeta(meta)));
    std::lock_guard lock(mutex_);
    const CollectionInfo info{pin, meta.schema, meta.created, std::nullopt, meta.about};
    entries_.emplace(pin, Entry{info, std::move(kept)});
    return generation;
  };
  auto made = make();
  if (!made && !pin.empty() && !there && !Describe(pin)) {
    std::error_code ignored;
    fs::remove_all(PathsOf(pin).kept, ignored);
    Empty(PathsOf(pin).live);
  }
  return made;
}

Result<void> Collections::Unpin(const std::string& pin) {
  if (!IsPinName(pin)) return NoSuch(pin);
  return Remove(pin);
}

Result<void> Collections::Delete(const std::string& name) {
  if (IsPinName(name)) {
    return Fail(Code::kConflict, name + " is kept for a version of a function, and goes with it");
  }
  return Remove(name);
}

Result<void> Collections::Remove(const std::string& name) {
  std::lock_guard change(change_mutex_);
  std::shared_ptr<Collection> collection;
  {
    std::lock_guard lock(mutex_);
    auto found = entries_.find(name);
    if (found == entries_.end()) return NoSuch(name);
    collection = found->second.collection;
  }
  const CollectionPaths paths = PathsOf(name);
  // Without its meta it is none; a crash from here on is finished by Load().
  TRY(disk_.Rename(paths.kept + kMeta, paths.kept + "/deleted"));
  TRY(disk_.SyncFolder(paths.kept));
  if (collection) {
    collection->MarkDeleted();
    deleted_.push_back(collection);
  }
  {
    std::lock_guard lock(mutex_);
    entries_.erase(name);
  }
  std::error_code ignored;
  fs::remove_all(paths.kept, ignored);
  Empty(paths.live);
  return {};
}

std::vector<CollectionInfo> Collections::List(const std::string& after, std::size_t most) const {
  std::lock_guard lock(mutex_);
  std::vector<CollectionInfo> all;
  for (auto at = entries_.upper_bound(after); at != entries_.end() && all.size() < most; ++at) {
    all.push_back(at->second.info);
  }
  return all;
}

std::vector<CollectionInfo> Collections::PinsOf(const std::string& name) const {
  const std::string start = name + "@";
  std::lock_guard lock(mutex_);
  std::vector<CollectionInfo> pins;
  for (auto at = entries_.lower_bound(start); at != entries_.end() && at->first.starts_with(start);
       ++at) {
    pins.push_back(at->second.info);
  }
  return pins;
}

Result<CollectionInfo> Collections::Describe(const std::string& name) const {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return NoSuch(name);
  return found->second.info;
}

Result<std::shared_ptr<Collection>> Collections::Find(const std::string& name) const {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return NoSuch(name);
  if (found->second.info.error) return std::unexpected(*found->second.info.error);
  return found->second.collection;
}

void Collections::Submit(const std::string& name, Batch batch, Answer answer) {
  auto collection = Find(name);
  if (!collection) return answer(std::unexpected(collection.error()));
  if (IsPinName(name)) {
    return answer(
        Fail(Code::kConflict, name + " is a generation that is kept: it can be read, not written"));
  }
  if (batch.Of() != (*collection)->Of()) {
    return answer(Fail(Code::kConflict, "collection " + name + " was made anew meanwhile"));
  }
  if (batch.Count() == 0) {
    return answer(Fail(Code::kInvalid, "a batch needs at least one change"));
  }
  std::unique_lock lock(mutex_);
  const std::uint64_t size = batch.Bytes().size();
  if (stopping_ || queued_bytes_ + size > options_.max_queued.count) {
    const bool stopping = stopping_;
    lock.unlock();
    if (stopping) return answer(Fail(Code::kUnavailable, "the server is stopping"));
    return answer(Fail(Code::kOverloaded, "too many writes wait; try again"));
  }
  queued_bytes_ += size;
  queue_.push_back({std::move(*collection), batch.TakeBytes(), std::move(answer), clock_.Now()});
  queued_.notify_one();
}

Result<Ack> Collections::Write(const std::string& name, Batch batch) {
  std::promise<Result<Ack>> promise;
  Submit(name, std::move(batch),
         [&promise](Result<Ack> ack) { promise.set_value(std::move(ack)); });
  return promise.get_future().get();
}

void Collections::WriteAll() {
  RunPromptly();
  while (true) {
    std::vector<Pending> taken;
    {
      std::unique_lock lock(mutex_);
      queued_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      taken.swap(queue_);
    }
    // Those of one collection together, each in the order in which it came.
    std::map<Collection*, std::vector<Pending*>> groups;
    for (Pending& pending : taken) groups[pending.collection.get()].push_back(&pending);
    for (auto& [collection, group] : groups) {
      std::vector<std::string_view> bodies;
      for (const Pending* pending : group) {
        bodies.push_back(pending->body);
        times_.Add(CommitStage::kWait, clock_.Now() - pending->came);
      }
      auto acks = collection->Commit(bodies, &times_);
      for (std::size_t i = 0; i < acks.size(); ++i) group[i]->answer(std::move(acks[i]));
      if (collection->WantsFlush()) tidy_.notify_one();
    }
    std::lock_guard lock(mutex_);
    for (const auto& pending : taken) queued_bytes_ -= pending.body.size();
  }
}

}  // namespace samovar
