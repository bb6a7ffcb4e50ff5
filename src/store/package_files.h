#pragma once
// PackageFiles: PackageStore on a directory (package_store.h says how it is laid out).

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/kept_files.h"
#include "store/package_store.h"

namespace samovar {

class PackageFiles final : public PackageStore {
 public:
  PackageFiles(std::string directory, PackageOptions options)
      : blobs_(directory + "/blobs/"),
        trees_(directory + "/trees/"),
        zips_(directory + "/zips/"),
        staging_(directory + "/staging/"),
        options_(options),
        kept_(directory + "/files") {}

  Result<void> Open();

  Result<std::string> NewStagingFile() override;
  void Discard(const std::string& staged_path) override;
  Result<PackageInfo> Import(const std::string& staged_path) override;
  Result<ManifestTaken> ImportManifest(const std::string& staged_path) override;
  Result<void> KeepFiles(const std::string& staged_path) override;
  Result<PackageInfo> Find(const std::string& hash) override;
  Result<std::string> Unpack(const std::string& hash) override;
  Result<PackagePieces> Read(const std::string& hash) override;
  Result<bool> Holds(const std::string& hash, const std::string& name) override;
  std::string BlobPath(const std::string& hash) const override { return blobs_ + hash; }
  Result<void> Collect(const std::set<std::string>& used) override;
  Result<Bytes> Prune(const std::set<std::string>& used) override;
  Result<PackageListing> List() override;

 private:
  // Only files that NewStagingFile() made are taken or removed, whatever a caller was told.
  bool IsStaged(const std::string& path) const {
    return path.starts_with(staging_) && path.find('/', staging_.size()) == std::string::npos &&
           path.size() > staging_.size();
  }
  using Fill = std::function<Result<void>(const std::string& folder)>;
  // The tree of that hash; where it is not there, as `fill` makes it in a folder beside.
  Result<std::string> TreeOf(const std::string& hash, const Fill& fill);
  Result<void> FillNow(const std::string& hash, const Fill& fill);
  Result<void> FillByThinZip(const std::string& hash, const std::string& folder);
  Result<void> FillByManifest(const std::string& manifest, const std::string& folder);
  Result<std::vector<std::string>> Missing(const std::string& manifest);
  Result<PackageInfo> KeepBlob(const std::string& staged_path, int file, const std::string& hash);
  // Keeps what other zips have too only once; where that fails the zip stays as it came.
  void MakeThin(const std::string& hash);
  // Its blob is empty then: the folder was there before.
  bool IsThin(const std::string& hash) const;
  Result<void> EmptyBlob(const std::string& hash);
  Result<void> Thin(const std::string& hash, const std::string& folder);
  struct Removed {
    int packages = 0;
    Bytes size;  // without files that are kept
  };
  Result<Removed> RemoveUnused(const std::set<std::string>& used, std::chrono::seconds fresh);
  KeptFiles* Shared() { return options_.share ? &kept_ : nullptr; }
  std::optional<Bytes> RemoveIfOld(const std::string& hash, std::chrono::seconds fresh);

  const std::string blobs_, trees_, zips_, staging_;
  const PackageOptions options_;
  KeptFiles kept_;
  std::mutex mutex_;  // guards busy_, and orders a touch of a blob against its removal
  std::condition_variable done_;
  std::set<std::string> busy_;  // hashes that are being unpacked
};

}  // namespace samovar
