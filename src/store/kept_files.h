#pragma once
// KeptFiles: every file of every package once, by its content.
//
// Why      Twenty functions on one library cost the disk and the page cache of one: a file that
//          several trees hold is one inode with several names.
// How      DIR/AB/CDEF... is a hard link to each file, named by its SHA-256, ".x" where it can be
//          executed, and ".TIME" where its time matters. A file enters only after its bytes are on
//          disk, so a name never stands for less than the content it says. A file whose only name
//          is the one here is used by no tree, and goes with the next Sweep(), unless it was asked
//          for within the last hour (a client that heard "it is here" counts on it).
// Errors   A file that cannot be shared (a full inode, another file system) is no error: it is
//          then a file of its own.
// Threads  Safe. Every call may block.

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "os/fd.h"

namespace samovar {

// What makes two files the same.
struct KeptFile {
  static constexpr std::int64_t kNoTime = 315532800;  // 1980-01-01: the least that a zip can say

  std::string hash;  // hex SHA-256 of its content
  std::uint64_t size = 0;
  bool executable = false;
  std::int64_t time = kNoTime;

  std::string Name() const;  // "ab/cdef....x"
};

struct KeptUsage {
  std::uint64_t files = 0;
  Bytes size;           // of every file once
  Bytes unused;         // of those that no tree uses
  Bytes without_store;  // what the trees would take, if each had its own
};

class KeptFiles {
 public:
  explicit KeptFiles(std::string directory) : directory_(std::move(directory)) {}
  Result<void> Open();

  // Makes `name` in `dir` the kept file. False where it is not kept, or cannot be shared.
  // REQUIRES: nothing has that name.
  bool LinkTo(const KeptFile& file, int dir, const char* name);
  // The same for a file that is there already with that content.
  bool Replace(const KeptFile& file, int dir, const char* name);
  // Keeps a file that is whole on disk, with its final mode and time. `name` may be a path.
  void Take(const KeptFile& file, int dir, const char* name);
  // Whether it is kept; it then stays for an hour, used or not.
  bool Has(const KeptFile& file);

  // Removes what no tree uses; what was asked for lately only where `all`. Returns its size.
  Result<Bytes> Sweep(bool all = false);
  Result<KeptUsage> Usage();

 private:
  using Clock = std::chrono::steady_clock;
  void Promise(const std::string& name);
  bool Promised(const std::string& name);
  // Calls visit(directory descriptor, file name, stat, name in the store) for each file.
  template <class Visit>
  Result<void> Walk(Visit visit);

  const std::string directory_;
  Fd root_;
  std::mutex mutex_;
  std::map<std::string, Clock::time_point> promised_;
};

}  // namespace samovar
