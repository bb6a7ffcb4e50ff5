// PackageFiles: what is kept, for people.

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "store/content_hash.h"
#include "store/entry_path.h"
#include "store/manifest.h"
#include "store/package_files.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxRecord = 64 << 20;
constexpr std::string_view kInfo = ".dist-info";

std::uint64_t SizeOf(const fs::path& path) {
  struct stat about{};
  const bool file = lstat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
  return file ? static_cast<std::uint64_t>(about.st_size) : 0;
}

// Of the files in a folder that it shares with no other.
std::uint64_t OwnOf(const fs::path& folder) {
  std::uint64_t own = 0;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    struct stat about{};
    if (lstat(at->path().c_str(), &about) == 0 && about.st_nlink <= 2) {
      own += static_cast<std::uint64_t>(about.st_size);
    }
  }
  return own;
}

// The first field of a line of RECORD, which is CSV.
std::string FirstField(const std::string& line) {
  if (!line.starts_with('"')) return line.substr(0, line.find(','));
  return line.substr(1, line.find('"', 1) - 1);
}

// A wheel by its "NAME-VERSION.dist-info" folder: the files that its RECORD lists.
std::optional<KeptPackage::Library> LibraryAt(const fs::path& folder) {
  struct stat about{};
  const auto record = folder / "RECORD";
  if (lstat(record.c_str(), &about) != 0 || !S_ISREG(about.st_mode) ||
      static_cast<std::size_t>(about.st_size) > kMaxRecord) {
    return std::nullopt;
  }
  KeptPackage::Library library;
  const auto name = folder.filename().string();
  const auto stem = name.substr(0, name.size() - kInfo.size());
  const auto dash = stem.find('-');
  library.name = stem.substr(0, dash);
  if (dash != stem.npos) library.version = stem.substr(dash + 1);
  library.inode = about.st_ino;
  std::ifstream in(record, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    const auto parts = SplitEntryPath(FirstField(line));
    if (!parts || parts->empty()) continue;  // "../../bin/NAME"
    fs::path file = folder.parent_path();
    for (const auto& part : *parts) file /= part;
    library.size.count += SizeOf(file);
  }
  return library;
}

Result<void> Measure(const fs::path& tree, KeptPackage& package) {
  std::error_code failed;
  for (fs::recursive_directory_iterator at(tree, failed), end; !failed && at != end;
       at.increment(failed)) {
    struct stat about{};
    if (lstat(at->path().c_str(), &about) != 0) continue;
    if (S_ISREG(about.st_mode)) {
      const auto size = static_cast<std::uint64_t>(about.st_size);
      ++package.files;
      package.size.count += size;
      if (about.st_nlink <= 2) package.own.count += size;  // this name, and that of KeptFiles
    } else if (S_ISDIR(about.st_mode) && at->path().filename().string().ends_with(kInfo)) {
      if (auto library = LibraryAt(at->path())) package.libraries.push_back(std::move(*library));
    }
  }
  // A package that is removed meanwhile is listed as far as it was seen.
  if (failed && failed != std::errc::no_such_file_or_directory) {
    return std::unexpected(ErrnoError("list " + tree.string(), failed.value()));
  }
  return {};
}

}  // namespace

Result<PackageListing> PackageFiles::List() {
  PackageListing listing;
  std::error_code failed;
  std::set<std::string> hashes;
  for (fs::directory_iterator at(blobs_, failed), end; !failed && at != end; at.increment(failed)) {
    if (IsContentHash(at->path().filename().string())) hashes.insert(at->path().filename());
  }
  if (failed) return std::unexpected(ErrnoError("list " + blobs_, failed.value()));
  for (const auto& hash : hashes) {
    KeptPackage package;
    package.hash = hash;
    package.manifest = IsManifest(BlobPath(hash));
    package.own.count = SizeOf(BlobPath(hash)) + OwnOf(zips_ + hash);
    package.unpacked = fs::is_directory(trees_ + hash, failed);
    if (package.unpacked) TRY(Measure(trees_ + hash, package));
    listing.packages.push_back(std::move(package));
  }
  TRY(listing.files, kept_.Usage());
  return listing;
}

}  // namespace samovar
