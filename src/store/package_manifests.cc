// PackageFiles: packages that come as a manifest, and any package as a zip.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "base/ids.h"
#include "os/fd.h"
#include "store/content_hash.h"
#include "store/manifest.h"
#include "store/package_files.h"
#include "store/package_zip.h"
#include "store/thin_zip.h"
#include "store/tree_writer.h"
#include "store/unpack.h"
#include "store/zip_check.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 256 << 10;

std::unexpected<Error> NotShared() {
  return Fail(Code::kUnsupported, "packages do not share files here: send a zip");
}

Result<Fd> OpenStaged(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return std::unexpected(ErrnoError("import a package"));
  return file;
}

}  // namespace

// Hashes of the files that are not here. All the others stay for an hour.
Result<std::vector<std::string>> PackageFiles::Missing(const std::string& manifest) {
  TRY(auto reader, ManifestReader::Open(manifest));
  std::set<std::string> missing;
  std::uint64_t entries = 0;
  for (;;) {
    TRY(const auto entry, reader.Next());
    if (!entry) break;
    if (++entries > options_.max_files) {
      return Fail(Code::kTooLarge,
                  fmt::format("The package has more than {} files.", options_.max_files),
                  "InvalidParameterValueException");
    }
    if (!entry->link.empty() || entry->file.size == 0) continue;
    if (!kept_.Has(entry->file)) missing.insert(entry->file.hash);
  }
  if (entries == 0) {
    return Fail(Code::kInvalid, "the manifest names no files", "InvalidParameterValueException");
  }
  return std::vector<std::string>(missing.begin(), missing.end());
}

Result<void> PackageFiles::FillByManifest(const std::string& manifest, const std::string& folder) {
  Fd root(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return std::unexpected(ErrnoError("unpack: open " + folder));
  TreeWriter tree(std::move(root), options_, &kept_);
  TRY(auto reader, ManifestReader::Open(manifest));
  for (;;) {
    TRY(const auto entry, reader.Next());
    if (!entry) return tree.Finish();
    if (!entry->link.empty()) {
      TRY(tree.AddLink(entry->path, entry->link));
    } else if (entry->file.size == 0) {
      const auto nothing = []() -> Result<std::string_view> { return std::string_view(); };
      TRY(tree.AddFile(entry->path, entry->file.executable, KeptFile::kNoTime, nothing));
    } else {
      TRY(tree.AddKept(entry->path, entry->file));
    }
  }
}

Result<ManifestTaken> PackageFiles::ImportManifest(const std::string& staged_path) {
  if (!options_.share) return NotShared();
  if (!IsStaged(staged_path)) return Fail(Code::kInvalid, "import a package: not a staging file");
  ManifestTaken taken;
  TRY(taken.missing, Missing(staged_path));
  if (!taken.missing.empty()) return taken;
  TRY(const auto file, OpenStaged(staged_path));
  TRY(const auto hash, ContentHash::OfFile(file.Get()));
  // The tree before the manifest: from then on its files are in use.
  const auto tree =
      TreeOf(hash, [&](const std::string& folder) { return FillByManifest(staged_path, folder); });
  if (!tree && tree.error().code == Code::kConflict) {  // a file went since it was looked for
    TRY(taken.missing, Missing(staged_path));
    if (!taken.missing.empty()) return taken;
  }
  if (!tree) return std::unexpected(tree.error());
  TRY(taken.package, KeepBlob(staged_path, file.Get(), hash));
  TRY(taken.package, Find(hash));
  return taken;
}

Result<void> PackageFiles::KeepFiles(const std::string& staged_path) {
  if (!options_.share) return NotShared();
  if (!IsStaged(staged_path)) return Fail(Code::kInvalid, "keep files: not a staging file");
  {
    TRY(const auto file, OpenStaged(staged_path));
    struct stat about{};
    if (fstat(file.Get(), &about) != 0) return std::unexpected(ErrnoError("keep files"));
    TRY(CheckZip(file.Get(), static_cast<std::uint64_t>(about.st_size),
                 {options_.max_files, options_.max_unpacked}));
  }
  const auto folder = staging_ + "files-" + RandomHex(32);
  if (mkdir(folder.c_str(), 0755) != 0) return std::unexpected(ErrnoError("create " + folder));
  const auto unpacked = UnpackZip(staged_path, folder, options_, &kept_);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  unlink(staged_path.c_str());
  return unpacked;
}

Result<PackagePieces> PackageFiles::Read(const std::string& hash) {
  TRY(const auto info, Find(hash));
  const auto blob = BlobPath(hash);
  if (IsManifest(blob)) {
    TRY(const auto tree, Unpack(hash));
    return [zip = std::make_shared<PackageZip>(tree)] { return zip->Next(); };
  }
  const auto file = std::make_shared<std::ifstream>(blob, std::ios::binary);
  if (!*file) return Fail(Code::kUnavailable, "read the package: it cannot be opened");
  if (file->peek() == std::ifstream::traits_type::eof()) {
    TRY(auto zip, ThinZipReader::Open(zips_ + hash));
    return [shared = std::make_shared<ThinZipReader>(std::move(zip))] { return shared->Next(); };
  }
  return [file]() -> Result<std::string> {
    std::string piece(kPiece, '\0');
    file->read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (file->bad()) return Fail(Code::kUnavailable, "read the package: the disk is failing");
    piece.resize(static_cast<std::size_t>(file->gcount()));
    return piece;
  };
}

Result<bool> PackageFiles::Holds(const std::string& hash, const std::string& name) {
  const auto blob = BlobPath(hash);
  if (IsThin(hash)) {  // its tree is there, too, or is made anew
    TRY(const auto tree, Unpack(hash));
    return fs::is_regular_file(tree + "/" + name);
  }
  if (!IsManifest(blob)) return ZipHolds(blob, name);
  TRY(auto reader, ManifestReader::Open(blob));
  for (;;) {
    TRY(const auto entry, reader.Next());
    if (!entry) return false;
    if (entry->path == name) return true;
  }
}

}  // namespace samovar
