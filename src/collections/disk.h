#pragma once
// Disk: every write that a collection makes for good, so that a test can have each of them fail.
// Errors   kUnavailable or what errno says, with the path.
// Threads  Safe, as far as no two calls are about one file.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

inline constexpr std::size_t kHugePage = 2 << 20;  // of x86-64, and of arm64 with pages of 4 KiB

class Disk {
 public:
  virtual ~Disk() = default;
  // A new or emptied file.
  virtual Result<Fd> Create(const std::string& path);
  // Takes turns with others (Turn).
  virtual Result<void> Write(int fd, std::uint64_t at, std::string_view bytes,
                             const std::string& path);
  // The same of kHugePage bytes at a multiple of them, which the kernel is to keep in one huge page
  // (piece_writer.h). May keep others from the processor for milliseconds: for work that runs when
  // idle.
  virtual Result<void> WriteHuge(int fd, std::uint64_t at, std::string_view bytes,
                                 const std::string& path);
  // Blocks for `size` bytes of zeros, so that no later write through a mapping can lack one.
  virtual Result<void> Reserve(int fd, std::uint64_t size, const std::string& path);
  virtual Result<void> Truncate(int fd, std::uint64_t size, const std::string& path);
  virtual Result<void> Sync(int fd, const std::string& path);
  virtual Result<void> Rename(const std::string& from, const std::string& to);
  virtual Result<void> SyncFolder(const std::string& path);
  // Whether a folder's disk has so many bytes left: to be asked before long work whose fruit would
  // need them. A quota is not in what the file system tells.
  virtual Result<void> CheckRoom(const std::string& folder, std::uint64_t bytes);

  // `path` with `bytes` in it: seen whole or not at all, also after a crash.
  Result<void> Replace(const std::string& path, std::string_view bytes);
};

// Removes a file that could not be made whole: on a disk that is full each try would leave another.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(std::string path) : path_(std::move(path)) {}
  ~UnfinishedFile();
  UnfinishedFile(const UnfinishedFile&) = delete;
  void Keep() { path_.clear(); }

 private:
  std::string path_;
};

// The file's bytes; kNotFound where there is none.
Result<std::string> ReadFile(const std::string& path);

}  // namespace samovar
