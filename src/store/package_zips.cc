// PackageFiles: zips that are kept thin (thin_zip.h).

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/ids.h"
#include "base/log.h"
#include "os/fd.h"
#include "store/manifest.h"
#include "store/package_files.h"
#include "store/thin_zip.h"
#include "store/unpack.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kWorthIt = 4 << 20;  // smaller zips stay as they came

}  // namespace

bool PackageFiles::IsThin(const std::string& hash) const {
  struct stat about{};
  return stat(BlobPath(hash).c_str(), &about) == 0 && about.st_size == 0;
}

// REQUIRES: mutex_ is held, and the folder that it stands for is on disk.
Result<void> PackageFiles::EmptyBlob(const std::string& hash) {
  const auto empty = staging_ + "empty-" + RandomHex(32);
  const Fd file(open(empty.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file || rename(empty.c_str(), BlobPath(hash).c_str()) != 0) {
    return std::unexpected(ErrnoError("keep a zip thin"));
  }
  return {};
}

Result<void> PackageFiles::Thin(const std::string& hash, const std::string& folder) {
  TRY(MakeThinZip(BlobPath(hash), hash, folder, kept_));
  const std::lock_guard lock(mutex_);
  struct stat about{};
  if (stat(BlobPath(hash).c_str(), &about) != 0) return {};  // it was removed meanwhile
  if (rename(folder.c_str(), (zips_ + hash).c_str()) != 0) {
    return std::unexpected(ErrnoError("keep a zip thin"));
  }
  const Fd zips(open(zips_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!zips || fsync(zips.Get()) != 0) return std::unexpected(ErrnoError("keep a zip thin"));
  return EmptyBlob(hash);
}

void PackageFiles::MakeThin(const std::string& hash) {
  struct stat about{};
  if (stat(BlobPath(hash).c_str(), &about) != 0 ||
      static_cast<std::uint64_t>(about.st_size) < kWorthIt || IsManifest(BlobPath(hash))) {
    return;
  }
  Result<void> made;
  if (fs::exists(zips_ + hash)) {  // a crash came between the two, or the same zip came again
    const std::lock_guard lock(mutex_);
    made = EmptyBlob(hash);
  } else {
    const auto folder = staging_ + "zip-" + RandomHex(32);
    if (mkdir(folder.c_str(), 0755) != 0) return;
    made = Thin(hash, folder);
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  if (!made) LogWarn("package {} stays as it came: {}", hash, made.error().message);
}

Result<void> PackageFiles::FillByThinZip(const std::string& hash, const std::string& folder) {
  TRY(auto reader, ThinZipReader::Open(zips_ + hash));
  const auto whole = staging_ + "whole-" + RandomHex(32);
  std::ofstream out(whole, std::ios::binary);
  Result<void> done;
  while (done) {
    const auto bytes = reader.Next();
    if (!bytes) done = std::unexpected(bytes.error());
    if (!bytes || bytes->empty()) break;
    out.write(bytes->data(), static_cast<std::streamsize>(bytes->size()));
  }
  out.close();
  if (done && !out) done = Fail(Code::kUnavailable, "unpack: the disk is full or failing");
  if (done) done = UnpackZip(whole, folder, options_, Shared());
  unlink(whole.c_str());
  return done;
}

}  // namespace samovar
