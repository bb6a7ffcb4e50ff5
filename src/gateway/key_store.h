#pragma once
// KeyStore: the access keys that clients sign with.
//
// How      All in memory, so that checking a request never waits; each change is in the KvStore
//          ("keys/ID") before it counts. A secret is kept as it is, as SigV4 needs it.
// Errors   Delete: kNotFound. Create and Delete pass on the store's.
// Threads  The event loop only; Open and CreateNow block.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/blocking.h"
#include "base/clock.h"
#include "base/task.h"
#include "store/kv_store.h"

namespace samovar {

struct AccessKey {
  std::string id;      // "AKIA" and 16 of A-Z2-7
  std::string secret;  // 40 characters
  WallTime created;
  std::string description;
};

class KeyStore {
 public:
  static Result<std::unique_ptr<KeyStore>> Open(KvStore& store, BlockingPool& pool,
                                                const Clock& clock);

  bool Empty() const { return keys_.empty(); }
  std::size_t Size() const { return keys_.size(); }
  std::optional<std::string> SecretOf(std::string_view id) const;
  std::vector<AccessKey> List() const;  // by id, secrets left out

  Task<Result<AccessKey>> Create(std::string description);
  Task<Result<void>> Delete(std::string id);
  // Blocks; for a command that runs without a server.
  Result<AccessKey> CreateNow(std::string description);

 private:
  KeyStore(KvStore& store, BlockingPool& pool, const Clock& clock)
      : store_(store), pool_(pool), clock_(clock) {}

  KvStore& store_;
  BlockingPool& pool_;
  const Clock& clock_;
  std::map<std::string, AccessKey, std::less<>> keys_;
};

}  // namespace samovar
