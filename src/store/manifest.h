#pragma once
// Manifest: a package as the list of its files, each named by its content.
//
// Why      A deployment that changes ten lines sends ten lines: the server has the other files.
// How      docs/formats/manifest.md: "samovar-package 1", then a line for each file or link,
//          sorted by path. Read line by line, so the memory does not grow with the package.
// Errors   kInvalid, naming the line at fault.
// Threads  One object, one thread.

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "store/kept_files.h"

namespace samovar {

inline constexpr std::string_view kManifestHead = "samovar-package 1\n";

struct ManifestEntry {
  std::string path;
  std::string link;  // where a symlink leads; "" for a file
  KeptFile file;     // of a file
};

// One line, with its end.
std::string ManifestLine(const ManifestEntry& entry);

class ManifestReader {
 public:
  static Result<ManifestReader> Open(const std::string& path);
  // nullopt at the end.
  Result<std::optional<ManifestEntry>> Next();

 private:
  explicit ManifestReader(std::ifstream in) : in_(std::move(in)) {}
  std::ifstream in_;
  std::uint64_t line_ = 1;
  std::string last_;  // path
};

// Of all the files that it names.
Result<Bytes> ManifestSize(const std::string& path);
// Whether the file begins as a manifest does.
bool IsManifest(const std::string& path);

}  // namespace samovar
