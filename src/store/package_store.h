#pragma once
// PackageStore: code by content. A package (zip) is kept once by the SHA-256 of its bytes, unpacked
// once, and mounted read-only by every instance that uses it.
//
// How      DIR/blobs/HASH holds the zip (or stands for its pieces in DIR/zips, thin_zip.h),
//          DIR/trees/HASH its unpacked tree, whose files are links into DIR/files (kept_files.h),
//          DIR/staging what is on its way. Blobs and trees appear by rename after fsync, so a
//          half-written one is never used; staging is emptied at open. Trees are owned by the
//          server and readable by all.
// Errors   InvalidParameterValueException "Could not unzip uploaded file. Please check your file,
//          then try to upload again." for what is no zip; kTooLarge past the bound; entries that
//          leave the tree (.., absolute, through a symlink) and special files are refused by name.
// Threads  Safe. Every call may block.

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "store/kept_files.h"

namespace samovar {

struct PackageOptions {
  Bytes max_zip = Bytes::GiB(10);
  Bytes max_unpacked = Bytes::GiB(10);
  std::uint64_t max_files = 2'000'000;
  // Whether packages share their files. Not where functions may write to them (isolation process).
  bool share = true;
};

struct PackageInfo {
  std::string hash;        // hex SHA-256 of the zip
  std::string sha256_b64;  // the same as Lambda's CodeSha256
  Bytes size;              // of the zip
};

// What is kept of one package.
struct KeptPackage {
  std::string hash;
  bool manifest = false;  // it came as a manifest, not as a zip
  bool unpacked = false;
  std::uint64_t files = 0;
  Bytes size;  // of its files
  Bytes own;   // of those that no other package has, and of its zip
  struct Library {
    std::string name, version;  // of its dist-info
    Bytes size;
    std::uint64_t inode = 0;  // of its RECORD: equal where the same wheel is meant
  };
  std::vector<Library> libraries;
};

struct PackageListing {
  std::vector<KeptPackage> packages;
  KeptUsage files;  // of all of them, once
};

struct ManifestTaken {
  PackageInfo package;               // where nothing was missing
  std::vector<std::string> missing;  // hashes of files that must be sent first
};

// The bytes of a package as a zip, piece by piece; "" at the end. Blocks.
using PackagePieces = std::function<Result<std::string>()>;

class PackageStore {
 public:
  virtual ~PackageStore() = default;

  // A new empty file for an upload; the caller writes it and then hands it to Import or removes it.
  virtual Result<std::string> NewStagingFile() = 0;
  // Removes a staging file that will not be imported; anything else is left alone.
  virtual void Discard(const std::string& staged_path) = 0;
  // Takes a staging file in (moves it), or finds that the same bytes are there already.
  virtual Result<PackageInfo> Import(const std::string& staged_path) = 0;
  // Takes a package whose staging file is its manifest (manifest.h). kUnsupported where packages
  // do not share their files.
  virtual Result<ManifestTaken> ImportManifest(const std::string& staged_path) = 0;
  // Keeps the files of a staged zip for the manifest that will name them, whatever it names them.
  virtual Result<void> KeepFiles(const std::string& staged_path) = 0;
  virtual Result<PackageInfo> Find(const std::string& hash) = 0;
  // Directory of the unpacked tree; unpacks it now if need be.
  virtual Result<std::string> Unpack(const std::string& hash) = 0;
  // The package as a zip, as it came or made anew.
  virtual Result<PackagePieces> Read(const std::string& hash) = 0;
  // Whether it has a file of that name.
  virtual Result<bool> Holds(const std::string& hash, const std::string& name) = 0;
  virtual std::string BlobPath(const std::string& hash) const = 0;
  // Removes every package whose hash is not in `used` and that was not imported in the last hour.
  virtual Result<void> Collect(const std::set<std::string>& used) = 0;
  // The same at once, but for what came or was asked for in the last minute. What was freed.
  virtual Result<Bytes> Prune(const std::set<std::string>& used) = 0;
  virtual Result<PackageListing> List() = 0;
};

Result<std::unique_ptr<PackageStore>> OpenPackageStore(const std::string& directory,
                                                       PackageOptions options);

}  // namespace samovar
