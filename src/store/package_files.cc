// PackageStore on a directory (package_store.h says how it is laid out).

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <system_error>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/log.h"
#include "os/fd.h"
#include "store/package_store.h"
#include "store/unpack.h"
#include "store/zip_check.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr auto kKeepFresh = std::chrono::hours(1);

bool IsHash(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<std::string> HashFile(int fd) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> digest(EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free);
  CHECK(digest && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1);
  std::string buffer(1 << 20, '\0');
  for (off_t at = 0;;) {
    const auto n = pread(fd, buffer.data(), buffer.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(ErrnoError("read a package"));
    if (n == 0) break;
    CHECK(EVP_DigestUpdate(digest.get(), buffer.data(), static_cast<std::size_t>(n)) == 1);
    at += n;
  }
  std::string hash(32, '\0');
  CHECK(EVP_DigestFinal_ex(digest.get(), reinterpret_cast<unsigned char*>(hash.data()), nullptr) ==
        1);
  return HexEncode(hash);
}

Result<void> SyncDirectory(const std::string& path) {
  const Fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.Get()) != 0) {
    return std::unexpected(ErrnoError("sync " + path));
  }
  return {};
}

class PackageFiles final : public PackageStore {
 public:
  PackageFiles(std::string directory, PackageOptions options)
      : blobs_(directory + "/blobs/"),
        trees_(directory + "/trees/"),
        staging_(directory + "/staging/"),
        options_(options) {}

  Result<void> Open() {
    std::error_code failed;
    fs::remove_all(staging_, failed);
    for (const auto& path : {blobs_, trees_, staging_}) {
      fs::create_directories(path, failed);
      if (failed) return std::unexpected(ErrnoError("create " + path, failed.value()));
    }
    return {};
  }

  Result<std::string> NewStagingFile() override {
    auto path = staging_ + RandomHex(32);
    const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file) return std::unexpected(ErrnoError("create " + path));
    return path;
  }

  void Discard(const std::string& staged_path) override {
    if (IsStaged(staged_path)) unlink(staged_path.c_str());
  }

  Result<PackageInfo> Import(const std::string& staged_path) override;
  Result<PackageInfo> Find(const std::string& hash) override;
  Result<std::string> Unpack(const std::string& hash) override;
  std::string BlobPath(const std::string& hash) const override { return blobs_ + hash; }
  Result<void> Collect(const std::set<std::string>& used) override;

 private:
  // Only files that NewStagingFile() made are taken or removed, whatever a caller was told.
  bool IsStaged(const std::string& path) const {
    return path.starts_with(staging_) && path.find('/', staging_.size()) == std::string::npos &&
           path.size() > staging_.size();
  }
  Result<std::string> UnpackNow(const std::string& hash);
  bool RemoveIfOld(const std::string& hash);

  const std::string blobs_, trees_, staging_;
  const PackageOptions options_;
  std::mutex mutex_;  // guards busy_, and orders a touch of a blob against its removal
  std::condition_variable done_;
  std::set<std::string> busy_;  // hashes that are being unpacked
};

Result<PackageInfo> PackageFiles::Import(const std::string& staged_path) {
  if (!IsStaged(staged_path)) return Fail(Code::kInvalid, "import a package: not a staging file");
  const Fd file(open(staged_path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat about{};
  if (!file || fstat(file.Get(), &about) != 0) {
    return std::unexpected(ErrnoError("import a package"));
  }
  if (!S_ISREG(about.st_mode)) return Fail(Code::kInvalid, "import a package: not a file");
  const auto size = static_cast<std::uint64_t>(about.st_size);
  if (size > options_.max_zip.count) {
    return Fail(Code::kTooLarge,
                fmt::format("Zipped size must be smaller than {} bytes", options_.max_zip.count),
                "RequestEntityTooLargeException");
  }
  TRY(CheckZip(file.Get(), size, options_.max_files));
  TRY(const auto hash, HashFile(file.Get()));
  if (fchmod(file.Get(), 0644) != 0 || fsync(file.Get()) != 0) {
    return std::unexpected(ErrnoError("import a package"));
  }
  {
    const std::lock_guard lock(mutex_);
    // Renaming over an equal blob is harmless and gives it a fresh time.
    if (futimens(file.Get(), nullptr) != 0 ||
        rename(staged_path.c_str(), BlobPath(hash).c_str()) != 0) {
      return std::unexpected(ErrnoError("import a package"));
    }
  }
  TRY(SyncDirectory(blobs_));
  return PackageInfo{hash, Base64Encode(*HexDecode(hash)), Bytes{size}};
}

Result<PackageInfo> PackageFiles::Find(const std::string& hash) {
  const std::lock_guard lock(mutex_);
  struct stat about{};
  if (!IsHash(hash) || stat(BlobPath(hash).c_str(), &about) != 0) {
    return Fail(Code::kNotFound, "no package " + hash.substr(0, 64));
  }
  // Whoever asks is about to use it: Collect must not take it meanwhile.
  utimensat(AT_FDCWD, BlobPath(hash).c_str(), nullptr, 0);
  return PackageInfo{hash, Base64Encode(*HexDecode(hash)),
                     Bytes{static_cast<std::uint64_t>(about.st_size)}};
}

Result<std::string> PackageFiles::Unpack(const std::string& hash) {
  TRY(const auto info, Find(hash));
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return !busy_.contains(hash); });
    if (fs::exists(trees_ + hash)) return trees_ + hash;
    busy_.insert(hash);
  }
  auto result = UnpackNow(hash);
  const std::lock_guard lock(mutex_);
  busy_.erase(hash);
  done_.notify_all();
  return result;
}

Result<std::string> PackageFiles::UnpackNow(const std::string& hash) {
  const auto partial = staging_ + "tree-" + RandomHex(32);
  if (mkdir(partial.c_str(), 0755) != 0) return std::unexpected(ErrnoError("create " + partial));
  chmod(partial.c_str(), 0755);  // whatever the umask
  auto unpacked = UnpackZip(BlobPath(hash), partial, options_);
  if (unpacked && rename(partial.c_str(), (trees_ + hash).c_str()) != 0) {
    unpacked = std::unexpected(ErrnoError("keep a tree"));
  }
  if (!unpacked) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    return std::unexpected(std::move(unpacked).error());
  }
  TRY(SyncDirectory(trees_));
  return trees_ + hash;
}

bool PackageFiles::RemoveIfOld(const std::string& hash) {
  const auto trash = staging_ + "old-" + RandomHex(32);
  {
    const std::lock_guard lock(mutex_);
    struct stat about{};
    if (busy_.contains(hash)) return false;
    if (stat(BlobPath(hash).c_str(), &about) == 0) {
      const auto age = std::chrono::system_clock::now() -
                       std::chrono::system_clock::from_time_t(about.st_mtim.tv_sec);
      if (age < kKeepFresh) return false;
    }
    // The tree leaves by one rename, so that nobody sees half of it.
    rename((trees_ + hash).c_str(), trash.c_str());
    unlink(BlobPath(hash).c_str());
  }
  std::error_code ignored;
  fs::remove_all(trash, ignored);
  return true;
}

Result<void> PackageFiles::Collect(const std::set<std::string>& used) {
  std::set<std::string> found;
  for (const auto& room : {blobs_, trees_}) {
    std::error_code failed;
    for (fs::directory_iterator at(room, failed), end; !failed && at != end; at.increment(failed)) {
      found.insert(at->path().filename());
    }
    if (failed) return std::unexpected(ErrnoError("list " + room, failed.value()));
  }
  int removed = 0;
  for (const auto& hash : found) {
    if (!used.contains(hash) && IsHash(hash) && RemoveIfOld(hash)) ++removed;
  }
  if (removed > 0) LogInfo("removed {} packages that nothing uses", removed);
  return {};
}

}  // namespace

Result<std::unique_ptr<PackageStore>> OpenPackageStore(const std::string& directory,
                                                       PackageOptions options) {
  auto store = std::make_unique<PackageFiles>(directory, options);
  TRY(store->Open());
  return store;
}

}  // namespace samovar
