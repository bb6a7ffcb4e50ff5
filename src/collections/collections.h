#pragma once
// Collections: all collections of a server: by name, written by one thread, tidied by another; a
// third makes graphs while nobody else needs the processor. Where that is never, and segments wait
// for it that each search looks into, a fourth makes them at a share.
//
// Why      Batches that come while the disk is busy share its next sync.
// How      Submit() queues a batch and answers from the writing thread. A collection that cannot be
//          opened is listed with its error and refuses everything but its deletion; where the disk
//          was full it is tried again.
// Errors   kNotFound, kConflict (exists), kOverloaded (the queue is full, nothing was done), and
//          what Collection says.
// Threads  Safe. Create, Delete and Open block for a disk.

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/bytes.h"
#include "collections/collection.h"

namespace samovar {

struct CollectionsOptions {
  std::string directory;  // of the server alone; kept/NAME in it
  std::string live;       // what readers see; live/NAME
  Bytes max_queued = Bytes::MiB(256);
  CollectionOptions each = {};
  // Between tries to open those that a full disk kept from it, at least.
  std::chrono::nanoseconds retry = std::chrono::seconds(5);
  // So many sealed segments of one are pressing, once whoever makes graphs when idle gets less than
  // such a part of a processor for so long.
  std::size_t most_sealed = 6;
  double least_share = 0.25;
  std::chrono::nanoseconds patience = std::chrono::seconds(5);
};

struct CollectionInfo {
  std::string name;
  Schema schema;
  WallTime created;
  std::optional<Error> error;  // why it could not be opened
  std::string about = {};      // as Create was given it
};

class Collections {
 public:
  using Answer = std::function<void(Result<Ack>)>;

  // Opens what is there, and says so in the log with the time that it took.
  static Result<std::unique_ptr<Collections>> Open(CollectionsOptions options, const Clock& clock,
                                                   Disk& disk);
  ~Collections();  // ends what runs; batches that wait are answered kUnavailable

  // `about` is kept with it: what a door wants to know of it again.
  Result<CollectionInfo> Create(const std::string& name, const Schema& schema,
                                std::string about = {});
  Result<void> Delete(const std::string& name);
  // Keeps the newest generation of a collection as one of its own, which can only be read
  // ("films@123"), and answers which generation it is; as often as is wanted. It shares memory with
  // the collection, and outlives it. Blocks.
  Result<std::uint64_t> Pin(const std::string& name);
  // No longer. kNotFound where there is none of that PinName.
  Result<void> Unpin(const std::string& pin);
  // Those whose names come after `after`, in their order, and at most so many.
  std::vector<CollectionInfo> List(
      const std::string& after = {},
      std::size_t most = std::numeric_limits<std::size_t>::max()) const;
  // Generations of one that are kept, which may outlive it.
  std::vector<CollectionInfo> PinsOf(const std::string& name) const;
  Result<CollectionInfo> Describe(const std::string& name) const;
  Result<std::shared_ptr<Collection>> Find(const std::string& name) const;

  // `answer` runs on the writing thread, or at once where nothing was queued.
  void Submit(const std::string& name, Batch batch, Answer answer);
  Result<Ack> Write(const std::string& name, Batch batch);  // waits for it
  const CommitTimes& Times() const { return times_; }       // of all collections together

 private:
  struct Entry {
    CollectionInfo info;
    std::shared_ptr<Collection> collection;  // null: error
  };
  struct Pending {
    std::shared_ptr<Collection> collection;
    std::string body;
    Answer answer;
    SteadyTime came;
  };

  Collections(CollectionsOptions options, const Clock& clock, Disk& disk);
  CollectionPaths PathsOf(const std::string& name) const;
  Result<void> Load();
  Entry LoadOne(const std::string& name) const;
  void RetryOpening();
  Result<void> Remove(const std::string& name);
  // Room in files for one more. REQUIRES: change_mutex_.
  Result<void> WaitForFiles();
  // Those that can be served. Whoever works on one of them keeps no other: one that is deleted
  // meanwhile gives its memory and files back. REQUIRES: mutex_.
  std::vector<std::pair<std::string, std::weak_ptr<Collection>>> All() const {
    std::vector<std::pair<std::string, std::weak_ptr<Collection>>> all;
    for (const auto& [name, entry] : entries_) {
      if (entry.collection) all.emplace_back(name, entry.collection);
    }
    return all;
  }
  void WriteAll();
  void Tidy();
  // What the tidying thread knows of one.
  struct Tidied {
    Backoff flush;
    Backoff moving;
    std::optional<SteadyTime> waits_since;  // segments do
    std::chrono::nanoseconds ran{0};        // that had the thread for them then
  };
  void TidyOne(const std::string& name, Collection& collection, Tidied& known);
  void PressWhereLate(Collection& collection, Tidied& known);
  void MakeGraphs(Work work);
  // Whether there was one to make.
  bool MakeGraphOf(const std::string& name, Collection& collection, Work work, Backoff& retry);

  const CollectionsOptions options_;
  const Clock& clock_;
  Disk& disk_;
  std::mutex change_mutex_;  // Create and Delete, one at a time
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::vector<std::weak_ptr<Collection>> deleted_;  // REQUIRES: change_mutex_
  std::vector<Pending> queue_;
  std::uint64_t queued_bytes_ = 0;
  bool stopping_ = false;
  CommitTimes times_;
  std::condition_variable queued_;
  std::condition_variable tidy_;
  std::thread writer_;
  std::thread tidier_;
  std::condition_variable flushed_;
  std::thread grapher_;
  std::condition_variable pressed_;
  std::thread pressed_grapher_;
  SteadyTime retry_at_{};  // of the tidying thread
};

}  // namespace samovar
