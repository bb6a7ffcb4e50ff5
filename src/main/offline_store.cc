#include "main/offline_store.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "main/config.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

// As root: everything in the folder becomes its owner's; a new folder, the server user's.
Result<void> GiveBack(const std::string& data_dir, UserId owner) {
  if (geteuid() != 0) return {};
  std::error_code error;
  if (lchown(data_dir.c_str(), owner.uid, owner.gid) != 0) {
    return std::unexpected(ErrnoError("chown " + data_dir));
  }
  for (const auto& entry : fs::recursive_directory_iterator(StoreFolder(data_dir), error)) {
    if (lchown(entry.path().c_str(), owner.uid, owner.gid) != 0) {
      return std::unexpected(ErrnoError("chown " + entry.path().string()));
    }
  }
  if (lchown(StoreFolder(data_dir).c_str(), owner.uid, owner.gid) != 0) {
    return std::unexpected(ErrnoError("chown " + StoreFolder(data_dir)));
  }
  return {};
}

}  // namespace

std::string StoreFolder(const std::string& data_dir) { return data_dir + "/state"; }

Result<AccessKey> CreateKeyOffline(const std::string& data_dir, const std::string& description,
                                   const Clock& clock) {
  struct stat info{};
  const bool there = stat(data_dir.c_str(), &info) == 0;
  TRY(UserId owner, ResolveUser("auto"));
  if (there) owner = {.uid = info.st_uid, .gid = info.st_gid};
  std::error_code error;
  fs::create_directories(data_dir, error);
  if (error) {
    return Fail(Code::kInvalid, fmt::format("--data-dir {}: {}", data_dir, error.message()));
  }
  // Secrets lie in there: nobody but its owner may look.
  fs::create_directory(StoreFolder(data_dir), error);
  if (chmod(StoreFolder(data_dir).c_str(), 0700) != 0) {
    return std::unexpected(ErrnoError("chmod " + StoreFolder(data_dir)));
  }
  Result<AccessKey> made = Fail(Code::kInternal, "not made");
  {
    auto store = OpenRocksStore(StoreFolder(data_dir));
    if (!store) {
      Error failed = store.error();
      if (failed.code == Code::kConflict) {
        failed.message += "\na server runs on it; leave out --data-dir to ask that server";
      }
      return std::unexpected(std::move(failed));
    }
    BlockingPool pool(1);
    TRY(std::unique_ptr<KeyStore> keys, KeyStore::Open(**store, pool, clock));
    made = keys->CreateNow(description);
    pool.join();
  }
  TRY(GiveBack(data_dir, owner));
  return made;
}

}  // namespace samovar
