// PackageFiles, but for what it does with manifests.
#include "store/package_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <system_error>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/log.h"
#include "os/fd.h"
#include "store/content_hash.h"
#include "store/manifest.h"
#include "store/thin_zip.h"
#include "store/unpack.h"
#include "store/zip_check.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr auto kKeepFresh = std::chrono::hours(1);
constexpr auto kPruneFresh = std::chrono::minutes(1);

Result<void> SyncDirectory(const std::string& path) {
  const Fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.Get()) != 0) {
    return std::unexpected(ErrnoError("sync " + path));
  }
  return {};
}

// Of the files that are no links to kept ones.
Bytes SizeOfUnshared(const std::string& tree) {
  Bytes size;
  std::error_code failed;
  for (fs::recursive_directory_iterator at(tree, failed), end; !failed && at != end;
       at.increment(failed)) {
    struct stat about{};
    if (lstat(at->path().c_str(), &about) == 0 && S_ISREG(about.st_mode) && about.st_nlink == 1) {
      size.count += static_cast<std::uint64_t>(about.st_size);
    }
  }
  return size;
}

}  // namespace

Result<void> PackageFiles::Open() {
  std::error_code failed;
  fs::remove_all(staging_, failed);
  for (const auto& path : {blobs_, trees_, zips_, staging_}) {
    fs::create_directories(path, failed);
    if (failed) return std::unexpected(ErrnoError("create " + path, failed.value()));
  }
  return kept_.Open();
}

Result<std::string> PackageFiles::NewStagingFile() {
  auto path = staging_ + RandomHex(32);
  const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return std::unexpected(ErrnoError("create " + path));
  return path;
}

void PackageFiles::Discard(const std::string& staged_path) {
  if (IsStaged(staged_path)) unlink(staged_path.c_str());
}

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
  TRY(CheckZip(file.Get(), size, {options_.max_files, options_.max_unpacked}));
  TRY(const auto hash, ContentHash::OfFile(file.Get()));
  TRY(auto info, KeepBlob(staged_path, file.Get(), hash));
  info.size = Bytes{size};
  return info;
}

// Durable when it returns; the package's size is left to the caller.
Result<PackageInfo> PackageFiles::KeepBlob(const std::string& staged_path, int file,
                                           const std::string& hash) {
  if (fchmod(file, 0644) != 0 || fsync(file) != 0) {
    return std::unexpected(ErrnoError("import a package"));
  }
  {
    const std::lock_guard lock(mutex_);
    // Renaming over an equal blob is harmless and gives it a fresh time.
    if (futimens(file, nullptr) != 0 || rename(staged_path.c_str(), BlobPath(hash).c_str()) != 0) {
      return std::unexpected(ErrnoError("import a package"));
    }
  }
  TRY(SyncDirectory(blobs_));
  return PackageInfo{hash, Base64Encode(*HexDecode(hash)), Bytes{}};
}

Result<PackageInfo> PackageFiles::Find(const std::string& hash) {
  PackageInfo info{.hash = hash, .sha256_b64 = "", .size = {}};
  {
    const std::lock_guard lock(mutex_);
    struct stat about{};
    if (!IsContentHash(hash) || stat(BlobPath(hash).c_str(), &about) != 0) {
      return Fail(Code::kNotFound, "no package " + hash.substr(0, 64));
    }
    // Whoever asks is about to use it: Collect must not take it meanwhile.
    utimensat(AT_FDCWD, BlobPath(hash).c_str(), nullptr, 0);
    info.size.count = static_cast<std::uint64_t>(about.st_size);
  }
  info.sha256_b64 = Base64Encode(*HexDecode(hash));
  if (info.size.count == 0) {
    TRY(const auto zip, ThinZipReader::Open(zips_ + hash));
    info.size.count = zip.Size();
  } else if (IsManifest(BlobPath(hash))) {
    TRY(info.size, ManifestSize(BlobPath(hash)));
  }
  return info;
}

Result<std::string> PackageFiles::Unpack(const std::string& hash) {
  TRY(const auto info, Find(hash));
  auto tree = TreeOf(hash, [&](const std::string& folder) -> Result<void> {
    const auto blob = BlobPath(hash);
    if (IsManifest(blob)) return FillByManifest(blob, folder);
    if (IsThin(hash)) return FillByThinZip(hash, folder);
    return UnpackZip(blob, folder, options_, Shared());
  });
  if (tree && Shared()) MakeThin(hash);
  return tree;
}

Result<std::string> PackageFiles::TreeOf(const std::string& hash, const Fill& fill) {
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return !busy_.contains(hash); });
    if (fs::exists(trees_ + hash)) return trees_ + hash;
    busy_.insert(hash);
  }
  const auto filled = FillNow(hash, fill);
  const std::lock_guard lock(mutex_);
  busy_.erase(hash);
  done_.notify_all();
  if (!filled) return std::unexpected(filled.error());
  return trees_ + hash;
}

Result<void> PackageFiles::FillNow(const std::string& hash, const Fill& fill) {
  const auto partial = staging_ + "tree-" + RandomHex(32);
  if (mkdir(partial.c_str(), 0755) != 0) return std::unexpected(ErrnoError("create " + partial));
  chmod(partial.c_str(), 0755);  // whatever the umask
  auto filled = fill(partial);
  if (filled && rename(partial.c_str(), (trees_ + hash).c_str()) != 0) {
    filled = std::unexpected(ErrnoError("keep a tree"));
  }
  if (!filled) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    return filled;
  }
  return SyncDirectory(trees_);
}

// What it took beside files that are kept; nullopt where it stays.
std::optional<Bytes> PackageFiles::RemoveIfOld(const std::string& hash,
                                               std::chrono::seconds fresh) {
  const auto trash = staging_ + "old-" + RandomHex(32);
  Bytes size;
  {
    const std::lock_guard lock(mutex_);
    struct stat about{};
    if (busy_.contains(hash)) return std::nullopt;
    if (stat(BlobPath(hash).c_str(), &about) == 0) {
      const auto age = std::chrono::system_clock::now() -
                       std::chrono::system_clock::from_time_t(about.st_mtim.tv_sec);
      if (age < fresh) return std::nullopt;
      size.count = static_cast<std::uint64_t>(about.st_size);
    }
    // The blob goes first: a manifest without its tree could not be unpacked again. The tree leaves
    // by one rename, so that nobody sees half of it.
    unlink(BlobPath(hash).c_str());
    rename((trees_ + hash).c_str(), trash.c_str());
    rename((zips_ + hash).c_str(), (trash + "-zip").c_str());
  }
  size = size + SizeOfUnshared(trash) + SizeOfUnshared(trash + "-zip");
  std::error_code ignored;
  fs::remove_all(trash, ignored);
  fs::remove_all(trash + "-zip", ignored);
  return size;
}

Result<PackageFiles::Removed> PackageFiles::RemoveUnused(const std::set<std::string>& used,
                                                         std::chrono::seconds fresh) {
  std::set<std::string> found;
  for (const auto& room : {blobs_, trees_, zips_}) {
    std::error_code failed;
    for (fs::directory_iterator at(room, failed), end; !failed && at != end; at.increment(failed)) {
      found.insert(at->path().filename());
    }
    if (failed) return std::unexpected(ErrnoError("list " + room, failed.value()));
  }
  Removed removed;
  for (const auto& hash : found) {
    if (used.contains(hash) || !IsContentHash(hash)) continue;
    if (const auto size = RemoveIfOld(hash, fresh)) {
      ++removed.packages;
      removed.size = removed.size + *size;
    }
  }
  return removed;
}

Result<void> PackageFiles::Collect(const std::set<std::string>& used) {
  TRY(const auto removed, RemoveUnused(used, kKeepFresh));
  if (removed.packages == 0) return {};
  TRY(const auto freed, kept_.Sweep());
  LogInfo("removed {} packages that nothing uses, {} MB with them", removed.packages,
          (removed.size + freed).WholeMiB());
  return {};
}

Result<Bytes> PackageFiles::Prune(const std::set<std::string>& used) {
  TRY(const auto removed, RemoveUnused(used, kPruneFresh));
  TRY(const auto freed, kept_.Sweep(true));
  return removed.size + freed;
}

Result<std::unique_ptr<PackageStore>> OpenPackageStore(const std::string& directory,
                                                       PackageOptions options) {
  auto store = std::make_unique<PackageFiles>(directory, options);
  TRY(store->Open());
  return store;
}

}  // namespace samovar
