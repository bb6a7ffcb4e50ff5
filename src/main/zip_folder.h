#pragma once
// ZipFolders: one package out of folders, the same bytes for the same content.
//
// Why      The server knows a package by its hash: what did not change must not be sent again.
// How      Entries sorted by path, no times, modes reduced to "anyone may read" and "executable";
//          of two folders that hold a path the later wins. Written as a stream (zip64 where needed)
//          to a temporary file, so a package of many GB takes no memory. ListFolders looks only at
//          names, sizes and inode times, so an unchanged folder is known without reading it.
// Errors   kInvalid for a folder that is not there, a socket or device in it, a link that leaves
//          it.
// Threads  One call, one thread.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace samovar {

struct ZipRoot {
  std::string folder;
  std::string prefix;       // path inside the package, "" or "python/"
  bool filter = true;       // the ignore rules and .samignore hold
  std::string only_file{};  // when set: this one file of the folder
};

struct ZipEntry {
  std::string path;    // inside the package
  std::string source;  // on disk
  bool link = false;
  bool executable = false;
  std::uint64_t size = 0;
  std::string mark{};  // changes when the file may have changed
};

struct FolderListing {
  std::vector<ZipEntry> entries;  // sorted by path
  std::uint64_t total = 0;        // bytes of all files
  std::string fingerprint;        // changes when any file may have changed
};
Result<FolderListing> ListFolders(const std::vector<ZipRoot>& roots);

struct ZipResult {
  std::string sha256;  // hex
  std::uint64_t size = 0;
};
// Writes to `target`, which is replaced. Level 0 stores files as they are.
Result<ZipResult> WriteZip(const FolderListing& listing, const std::string& target,
                           const std::function<void(std::uint64_t done)>& on_progress,
                           int level = 1);
// The hash of a file that is a package already.
Result<ZipResult> HashFile(const std::string& path);

}  // namespace samovar
