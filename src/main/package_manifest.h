#pragma once
// PackageManifest: a package as the list of its files by content, for a server that keeps each
// file once (store/manifest.h), and what of it that server has not got.
//
// How      Hashes are remembered beside the manifest by what a file's inode says, so a large
//          environment is read once.
// Errors   kInvalid for a file that cannot be read.
// Threads  One.

#include <set>
#include <string>
#include <vector>

#include "main/zip_folder.h"

namespace samovar {

struct PackageManifest {
  std::string file;                // where it was written
  std::string sha256;              // of its text
  std::uint64_t size = 0;          // of all the files it names
  std::vector<ZipEntry> contents;  // each distinct file, its path in the package being its hash
};

// Written to BASE.manifest, the hashes to BASE.hashes.
Result<PackageManifest> WriteManifest(const FolderListing& listing, const std::string& base,
                                      const std::function<void(std::uint64_t done)>& on_progress);

// Those of `contents` whose hash is among `missing`.
FolderListing MissingOf(const PackageManifest& manifest, const std::set<std::string>& missing);

}  // namespace samovar
