#pragma once
// TreeWriter: the unpacked tree of one package, file by file, safe whatever the names say.
//
// How      Entries are created relative to the directory's descriptor and never through a symlink;
//          symlinks are made last, when nothing is written any more, and each must lead to a place
//          inside the tree. Directories are 0755, files 0644 or 0755. A file that KeptFiles has
//          becomes a link to it; one that it has not enters it once its bytes are on disk. Memory
//          is flat but for symlinks.
// Errors   kInvalid, naming the entry at fault; kTooLarge past a bound; kUnavailable when the disk
//          fails. What was written so far is left for the caller to remove.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "os/fd.h"
#include "store/kept_files.h"
#include "store/package_store.h"

namespace samovar {

class TreeWriter {
 public:
  // `kept` may be null: then every file is one of its own.
  TreeWriter(Fd root, const PackageOptions& options, KeptFiles* kept)
      : root_(std::move(root)), options_(options), kept_(kept) {}

  // Gives the next bytes of a file, "" at its end; they are valid until the next call.
  using Pull = std::function<Result<std::string_view>()>;
  Result<void> AddFile(const std::string& name, bool executable, std::int64_t time,
                       const Pull& pull);
  // A file by its content alone. kConflict where KeptFiles has not got it.
  Result<void> AddKept(const std::string& name, const KeptFile& file);
  Result<void> AddDirectory(const std::string& name);
  Result<void> AddLink(const std::string& name, const std::string& target);
  // Makes the links. Returns after everything is on disk.
  Result<void> Finish();

 private:
  struct Link {
    std::vector<std::string> path;
    std::string target;
  };
  struct Place {
    Fd parent;
    std::string name;  // in it
    std::string path;  // of the whole
  };

  Result<Fd> MakeDirectories(const std::string& name, const std::vector<std::string>& path,
                             std::size_t count);
  Result<Place> PlaceOf(const std::string& name);
  Result<void> Count(std::size_t bytes);
  Result<Fd> Create(const std::string& name, const Place& place, bool executable) const;
  Result<void> WriteLarge(const std::string& name, const Place& place, std::string head,
                          KeptFile file, const Pull& pull);
  Result<void> Close(int fd, const Place& place, const KeptFile& file);
  Result<void> MakeLinks();
  Result<void> Sync();

  Fd root_;
  const PackageOptions& options_;
  KeptFiles* const kept_;
  std::vector<Link> links_;
  std::vector<std::pair<std::string, KeptFile>> fresh_;  // written, not yet in KeptFiles
  std::uint64_t unpacked_ = 0;
  std::size_t files_ = 0;  // written; what is linked to is on disk already
  std::size_t directories_ = 0;
};

// "Could not unzip uploaded file: entry 'NAME' WHY."
std::unexpected<Error> RefuseEntry(std::string_view name, std::string_view why);

}  // namespace samovar
