#include "store/memory_store.h"

namespace samovar {

void MemoryStore::FailWrites(int n) {
  const std::lock_guard lock(mutex_);
  fail_in_ = n;
}

int MemoryStore::Writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}

std::map<std::string, std::string, std::less<>> MemoryStore::Contents() const {
  const std::lock_guard lock(mutex_);
  return pairs_;
}

Result<std::optional<std::string>> MemoryStore::Get(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto found = pairs_.find(key);
  if (found == pairs_.end()) return std::nullopt;
  return found->second;
}

Result<void> MemoryStore::Scan(
    std::string_view prefix,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) {
  const auto pairs = Contents();
  for (auto at = pairs.lower_bound(prefix); at != pairs.end(); ++at) {
    if (!at->first.starts_with(prefix) || !visit(at->first, at->second)) break;
  }
  return {};
}

Result<void> MemoryStore::Write(WriteBatch batch) {
  const std::lock_guard lock(mutex_);
  ++writes_;
  if (fail_in_ > 0 && --fail_in_ == 0) {
    return Fail(Code::kUnavailable, "write to the store: told to fail");
  }
  for (const auto& change : batch.Changes()) {
    if (change.value) {
      pairs_[change.key] = *change.value;
    } else {
      pairs_.erase(change.key);
    }
  }
  return {};
}

}  // namespace samovar
