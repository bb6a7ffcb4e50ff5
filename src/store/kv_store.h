#pragma once
// KvStore: ordered, durable key-value pairs. The embedded engine is RocksDB.
//
// How      Keys are "room/kind/name"; a prefix is scanned in byte order. Write() returns after the
//          batch is on disk (fsync), whole or not at all; concurrent writers share a sync.
// Errors   kUnavailable for a full or failing disk, kConflict when another process has it open.
// Threads  Safe. Every call may block: coroutines go through RunBlocking.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

class WriteBatch {
 public:
  void Put(std::string key, std::string value) {
    changes_.push_back({std::move(key), std::move(value)});
  }
  void Delete(std::string key) { changes_.push_back({std::move(key), std::nullopt}); }
  bool Empty() const { return changes_.empty(); }

  struct Change {
    std::string key;
    std::optional<std::string> value;  // nullopt deletes
  };
  const std::vector<Change>& Changes() const { return changes_; }

 private:
  std::vector<Change> changes_;
};

class KvStore {
 public:
  virtual ~KvStore() = default;
  virtual Result<std::optional<std::string>> Get(std::string_view key) = 0;
  // Calls `visit` for each pair under the prefix, in order, until it answers false.
  virtual Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
  virtual Result<void> Write(WriteBatch batch) = 0;
};

Result<std::unique_ptr<KvStore>> OpenRocksStore(const std::string& directory);

// In memory, for tests: FailWrites(n) makes the n-th next write fail, and nothing of it is kept.
class MemoryStore;

}  // namespace samovar
