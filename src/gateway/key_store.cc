#include "gateway/key_store.h"

#include <openssl/rand.h>

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/encoding.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kPrefix = "keys/";

std::string Row(const AccessKey& key) {
  return json::serialize(json::object{
      {"secret", key.secret},
      {"created_ms",
       std::chrono::duration_cast<std::chrono::milliseconds>(key.created.time_since_epoch())
           .count()},
      {"description", key.description}});
}

std::optional<AccessKey> ParseRow(std::string_view id, std::string_view text) {
  boost::system::error_code error;
  json::value row = json::parse(text, error);
  if (error || !row.is_object()) return std::nullopt;
  auto* secret = row.get_object().if_contains("secret");
  auto* created = row.get_object().if_contains("created_ms");
  auto* description = row.get_object().if_contains("description");
  if (!secret || !secret->is_string() || !created || !created->is_int64()) return std::nullopt;
  AccessKey key;
  key.id = id;
  key.secret = secret->get_string();
  key.created = WallTime(std::chrono::milliseconds(created->get_int64()));
  if (description && description->is_string()) key.description = description->get_string();
  return key;
}

// Keys come straight from the kernel-seeded generator of OpenSSL.
Result<AccessKey> NewKey(std::string description, WallTime now) {
  std::array<unsigned char, 16 + 30> random;
  if (RAND_bytes(random.data(), random.size()) != 1) {
    return Fail(Code::kInternal, "make an access key: no random numbers");
  }
  AccessKey key;
  key.id = "AKIA";
  for (std::size_t i = 0; i < 16; ++i) {
    key.id += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[random[i] & 31];
  }
  key.secret = Base64Encode({reinterpret_cast<const char*>(&random[16]), 30});
  key.created = now;
  key.description = std::move(description);
  return key;
}

}  // namespace

Result<std::unique_ptr<KeyStore>> KeyStore::Open(KvStore& store, BlockingPool& pool,
                                                 const Clock& clock) {
  std::unique_ptr<KeyStore> keys(new KeyStore(store, pool, clock));
  std::string broken;
  TRY(store.Scan(kPrefix, [&](std::string_view name, std::string_view text) {
    auto key = ParseRow(name.substr(kPrefix.size()), text);
    if (!key) broken = name;
    if (key) keys->keys_.emplace(key->id, *key);
    return broken.empty();
  }));
  if (!broken.empty()) return Fail(Code::kInternal, "read " + broken + ": not a key");
  return keys;
}

std::optional<std::string> KeyStore::SecretOf(std::string_view id) const {
  auto at = keys_.find(id);
  if (at == keys_.end()) return std::nullopt;
  return at->second.secret;
}

std::vector<AccessKey> KeyStore::List() const {
  std::vector<AccessKey> list;
  for (auto& [id, key] : keys_) {
    list.push_back(key);
    list.back().secret.clear();
  }
  return list;
}

Result<AccessKey> KeyStore::CreateNow(std::string description) {
  TRY(auto key, NewKey(std::move(description), clock_.Wall()));
  WriteBatch batch;
  batch.Put(std::string(kPrefix) + key.id, Row(key));
  TRY(store_.Write(std::move(batch)));
  keys_.emplace(key.id, key);
  return key;
}

Task<Result<AccessKey>> KeyStore::Create(std::string description) {
  CO_TRY(auto key, NewKey(std::move(description), clock_.Wall()));
  WriteBatch batch;
  batch.Put(std::string(kPrefix) + key.id, Row(key));
  auto write = [this, batch = std::move(batch)] { return store_.Write(batch); };
  CO_TRY(co_await RunBlocking(pool_, std::move(write)));
  keys_.emplace(key.id, key);
  co_return key;
}

Task<Result<void>> KeyStore::Delete(std::string id) {
  if (!keys_.contains(id)) co_return Fail(Code::kNotFound, "there is no access key " + id);
  WriteBatch batch;
  batch.Delete(std::string(kPrefix) + id);
  auto write = [this, batch = std::move(batch)] { return store_.Write(batch); };
  CO_TRY(co_await RunBlocking(pool_, std::move(write)));
  keys_.erase(id);
  co_return Result<void>();
}

}  // namespace samovar
