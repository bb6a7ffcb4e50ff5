#pragma once
// Log: the batches of one collection that its checkpoint does not hold yet, in order.
//
// How      Files log-G, each beginning with generation G. A record has its length and two
//          checksums, one of its head. What a crash cut short at the end of the last file is cut
//          off; anything else that does not fit is refused, and the file is left as it is.
// Errors   kInternal for a log that is damaged, with file and offset; of Append what the disk says.
// Threads  One.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "collections/disk.h"

namespace samovar {

struct LogEntry {
  std::uint64_t generation = 0;
  std::string_view body;
};

class CollectionLog {
 public:
  // A new file for generations from `first` on, durable when this returns.
  static Result<CollectionLog> Create(Disk& disk, const std::string& folder, std::uint64_t first);
  // A new file whose first generation is not known yet, durable under the name kNextLog. Start()
  // gives it its own; its first Append writes its head, so that Start needs no sync.
  // `room` bytes of it are zeros: a sync of what is written over them changes no file's size or
  // blocks, so that it waits for no other file.
  static Result<CollectionLog> Prepare(Disk& disk, const std::string& folder,
                                       std::uint64_t room = 0);
  Result<void> Start(const std::string& folder, std::uint64_t first);
  // The file that was read to `size`, to go on in.
  static Result<CollectionLog> Reopen(Disk& disk, const std::string& path, std::uint64_t size);

  // All of them, with one sync. Where it fails nothing of them is in the log, and it can go on, or
  // Broken() says that it cannot.
  Result<void> Append(const std::vector<LogEntry>& entries);
  bool Broken() const { return broken_; }
  std::uint64_t Size() const { return size_; }

 private:
  CollectionLog(Disk& disk, Fd file, std::string path, std::uint64_t size)
      : disk_(&disk), file_(std::move(file)), path_(std::move(path)), size_(size) {}

  Disk* disk_;
  Fd file_;
  std::string path_;
  std::uint64_t size_;
  std::uint64_t first_ = 0;  // where its head is not written yet
  bool broken_ = false;
};

// Recovery: a log that was started without a sync may still have this name. It gets its own, or
// goes where it has no head.
inline constexpr const char* kNextLog = "/next-log";
Result<void> NameStartedLog(Disk& disk, const std::string& folder);

struct LogFileName {
  std::uint64_t first = 0;
  std::string path;
};
// Those of the folder, in order.
Result<std::vector<LogFileName>> LogFiles(const std::string& folder);

using LogVisitor = std::function<Result<void>(std::uint64_t generation, std::string_view body)>;

// The records of one file's bytes, from `expected` on, which is moved on. The size of what is
// whole: less than all only where the rest is zeros, or `last` allows the end to be torn. `name` is
// for messages.
Result<std::uint64_t> ReadLogBytes(std::string_view bytes, const std::string& name, bool last,
                                   std::uint64_t& expected, const LogVisitor& visit);

}  // namespace samovar
