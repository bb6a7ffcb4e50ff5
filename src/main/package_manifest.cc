#include "main/package_manifest.h"

#include <filesystem>
#include <fstream>
#include <map>

#include "store/manifest.h"
#include "wire/sha256.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

// "KEY HASH" a line, where KEY stands for a path and what its inode said.
using Hashes = std::map<std::string, std::string, std::less<>>;

Hashes Recall(const std::string& file) {
  Hashes hashes;
  std::ifstream in(file);
  for (std::string key, hash; in >> key >> hash;) hashes[key] = hash;
  return hashes;
}

void Remember(const std::string& file, const Hashes& hashes) {
  std::ofstream out(file);
  for (const auto& [key, hash] : hashes) out << key << ' ' << hash << '\n';
}

}  // namespace

Result<PackageManifest> WriteManifest(const FolderListing& listing, const std::string& base,
                                      const std::function<void(std::uint64_t done)>& on_progress) {
  PackageManifest made;
  made.file = base + ".manifest";
  const std::string memory = base + ".hashes";
  const Hashes known = Recall(memory);
  Hashes hashes;
  std::set<std::string> seen;
  std::string text(kManifestHead);
  for (const ZipEntry& entry : listing.entries) {
    ManifestEntry line{.path = entry.path, .link = "", .file = {}};
    if (entry.link) {
      std::error_code error;
      line.link = fs::read_symlink(entry.source, error).string();
      if (error) return Fail(Code::kInvalid, entry.source + ": " + error.message());
      text += ManifestLine(line);
      continue;
    }
    const std::string key = Sha256Hex(entry.mark).substr(0, 32);
    const auto found = known.find(key);
    line.file.executable = entry.executable;
    line.file.size = entry.size;
    if (found != known.end()) {
      line.file.hash = found->second;
    } else {
      TRY(const ZipResult read, HashFile(entry.source));
      line.file.hash = read.sha256;
      line.file.size = read.size;
    }
    hashes[key] = line.file.hash;
    made.size += line.file.size;
    if (on_progress) on_progress(made.size);
    text += ManifestLine(line);
    const std::string name = line.file.hash + (entry.executable ? ".x" : "");
    if (line.file.size > 0 && seen.insert(name).second) {
      made.contents.push_back(entry);
      made.contents.back().path = name;
      made.contents.back().size = line.file.size;
    }
  }
  std::ofstream out(made.file, std::ios::binary);
  out << text;
  out.close();
  if (!out) return Fail(Code::kInvalid, "cannot write " + made.file);
  Remember(memory, hashes);
  made.sha256 = Sha256Hex(text);
  return made;
}

FolderListing MissingOf(const PackageManifest& manifest, const std::set<std::string>& missing) {
  FolderListing listing;
  for (const ZipEntry& entry : manifest.contents) {
    if (!missing.contains(entry.path.substr(0, 64))) continue;
    listing.entries.push_back(entry);
    listing.total += entry.size;
  }
  return listing;
}

}  // namespace samovar
