// KvStore on RocksDB: every Write is a synced WriteBatch; RocksDB's own group commit lets
// concurrent writers share one fsync.

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <filesystem>
#include <system_error>

#include "store/kv_store.h"

namespace samovar {
namespace {

rocksdb::Slice SliceOf(std::string_view text) { return {text.data(), text.size()}; }

Error StoreError(std::string_view what, const rocksdb::Status& status) {
  // RocksDB has no code of its own for "another process holds the lock".
  const std::string detail = status.ToString();
  const bool locked = status.IsIOError() && detail.find("lock") != std::string::npos;
  const Code code = locked                  ? Code::kConflict
                    : status.IsCorruption() ? Code::kInternal
                                            : Code::kUnavailable;
  return Error{code, std::string(what) + ": " + detail};
}

class RocksStore final : public KvStore {
 public:
  explicit RocksStore(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}

  Result<std::optional<std::string>> Get(std::string_view key) override {
    std::string value;
    const auto status = db_->Get(rocksdb::ReadOptions(), SliceOf(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return std::unexpected(StoreError("read from the store", status));
    return value;
  }

  Result<void> Scan(std::string_view prefix,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
    for (at->Seek(SliceOf(prefix)); at->Valid(); at->Next()) {
      const std::string_view key(at->key().data(), at->key().size());
      if (!key.starts_with(prefix)) break;
      if (!visit(key, {at->value().data(), at->value().size()})) return {};
    }
    if (!at->status().ok()) return std::unexpected(StoreError("scan the store", at->status()));
    return {};
  }

  Result<void> Write(WriteBatch batch) override {
    if (batch.Empty()) return {};
    rocksdb::WriteBatch changes;
    for (const auto& change : batch.Changes()) {
      const auto status =
          change.value ? changes.Put(change.key, *change.value) : changes.Delete(change.key);
      if (!status.ok()) return std::unexpected(StoreError("build a write", status));
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    const auto status = db_->Write(options, &changes);
    if (!status.ok()) return std::unexpected(StoreError("write to the store", status));
    return {};
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

Result<std::unique_ptr<KvStore>> OpenRocksStore(const std::string& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) return Fail(Code::kUnavailable, "create " + directory + ": " + failed.message());
  rocksdb::Options options;
  options.create_if_missing = true;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4 << 20;
  options.write_buffer_size = 16 << 20;
  options.max_total_wal_size = 64 << 20;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(options, directory, &db);
  if (!status.ok()) return std::unexpected(StoreError("open " + directory, status));
  return std::make_unique<RocksStore>(std::unique_ptr<rocksdb::DB>(db));
}

}  // namespace samovar
