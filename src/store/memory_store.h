#pragma once
// MemoryStore: a KvStore in memory, for tests, whose writes can be made to fail.
//
// How      FailWrites(n) makes the n-th next write fail (1 is the very next); of a failed write
//          nothing is kept, as with a real disk that was full.
// Threads  Safe.

#include <map>
#include <mutex>

#include "store/kv_store.h"

namespace samovar {

class MemoryStore final : public KvStore {
 public:
  void FailWrites(int n);
  int Writes() const;  // attempted so far
  std::map<std::string, std::string, std::less<>> Contents() const;

  Result<std::optional<std::string>> Get(std::string_view key) override;
  Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) override;
  Result<void> Write(WriteBatch batch) override;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> pairs_;
  int fail_in_ = 0;
  int writes_ = 0;
};

}  // namespace samovar
