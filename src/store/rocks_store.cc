// KvStore on RocksDB: every Write is a synced WriteBatch; RocksDB's own group commit lets
// concurrent writers share one fsync.

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <shared_mutex>
#include <system_error>
#include <utility>

#include "base/log.h"
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

// What RocksDB says of errors, in the server's log. Its own log is a file beside the data, and a
// RocksDB that was built with assertions, as Debian's is, ends the process at the second line that
// the disk has no room for.
class ErrorLog final : public rocksdb::Logger {
 public:
  ErrorLog() : Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using Logger::Logv;
  void Logv(const char* format, va_list values) override {
    std::array<char, 512> line{};
    std::vsnprintf(line.data(), line.size(), format, values);
    LogWarn("store: {}", line.data());
  }
};

constexpr std::uint64_t kBuffer = 16 << 20;   // that is written as one file when it is full
constexpr std::uint64_t kRoom = 2 * kBuffer;  // to open a store that met a full disk

// Whether the disk has so much for us: a quota is not in what the file system tells.
bool HasRoom(const std::string& directory) {
  const std::string path = directory + "/room";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool has = ::posix_fallocate(file, 0, static_cast<off_t>(kRoom)) == 0;
  ::close(file);
  ::unlink(path.c_str());
  return has;
}

Result<std::unique_ptr<rocksdb::DB>> OpenDatabase(const std::string& directory) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.info_log = std::make_shared<ErrorLog>();
  options.write_buffer_size = kBuffer;
  options.max_total_wal_size = 64 << 20;
  options.max_bgerror_resume_count = 0;  // RocksStore::Mend
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(options, directory, &db);
  if (!status.ok()) return std::unexpected(StoreError("open " + directory, status));
  return std::unique_ptr<rocksdb::DB>(db);
}

class RocksStore final : public KvStore {
 public:
  RocksStore(std::string directory, std::unique_ptr<rocksdb::DB> db)
      : directory_(std::move(directory)), db_(std::move(db)) {}

  Result<std::optional<std::string>> Get(std::string_view key) override {
    std::shared_lock lock(mutex_);
    if (!db_) return Closed();
    std::string value;
    const auto status = db_->Get(rocksdb::ReadOptions(), SliceOf(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return std::unexpected(StoreError("read from the store", status));
    return value;
  }

  Result<void> Scan(std::string_view prefix,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    std::shared_lock lock(mutex_);
    if (!db_) return Closed();
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
    auto [opened, done] = TryWrite(changes);
    if (done) return {};
    if (!Mend(opened)) return done;
    return TryWrite(changes).second;
  }

 private:
  static std::unexpected<Error> Closed() {
    return Fail(Code::kUnavailable, "the store met a full disk and is not open again yet");
  }

  // And which opening it was written to.
  std::pair<int, Result<void>> TryWrite(rocksdb::WriteBatch& changes) {
    std::shared_lock lock(mutex_);
    if (!db_) return {opened_, Closed()};
    rocksdb::WriteOptions options;
    options.sync = true;
    const auto status = db_->Write(options, &changes);
    if (status.ok()) return {opened_, {}};
    return {opened_, std::unexpected(StoreError("write to the store", status))};
  }

  // After a failed write all further ones fail; RocksDB's own way back writes to the same log file
  // again, which a RocksDB with assertions ends the process for. So it is opened anew once the disk
  // has room: what was acknowledged is in its log.
  bool Mend(int opened) {
    std::unique_lock lock(mutex_);
    if (opened != opened_) return true;  // somebody else did
    if (!HasRoom(directory_)) return false;
    db_.reset();
    auto db = OpenDatabase(directory_);
    if (!db) {
      LogWarn("store: {}", db.error().message);
      return false;
    }
    db_ = std::move(*db);
    ++opened_;
    LogInfo("the store is written again");
    return true;
  }

  const std::string directory_;
  std::shared_mutex mutex_;  // taken alone to open it anew
  std::unique_ptr<rocksdb::DB> db_;
  int opened_ = 0;
};

}  // namespace

Result<std::unique_ptr<KvStore>> OpenRocksStore(const std::string& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) return Fail(Code::kUnavailable, "create " + directory + ": " + failed.message());
  TRY(auto db, OpenDatabase(directory));
  return std::make_unique<RocksStore>(directory, std::move(db));
}

}  // namespace samovar
