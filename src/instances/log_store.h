#pragma once
// LogStore: what functions write to standard output and error, kept by function.
//
// Why      `samovar logs` and CloudWatch's readers want a function's lines after the instance is
//          gone; a function that floods its log must not fill the disk, the memory or the loop.
// How      DIR/FUNCTION/current.log and previous.log, one line a line:
//          "UNIX_MS TAB STREAM TAB VERSION TAB MESSAGE". Appending only fills a buffer; it is
//          written by the pool every 200 ms, or sooner past 256 KiB. At half of the bound the
//          current file becomes the previous one.
// Units    Times are Unix milliseconds on disk.
// Errors   Appending never fails: where the disk does not keep up, lines are dropped and a line
//          says how many. Read answers kUnavailable for a disk error; an unknown function has no
//          lines.
// Threads  The event loop only; disk work goes to the pool.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/blocking.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"
#include "net/task_group.h"

namespace samovar {

struct LogOptions {
  std::string directory;                         // made when missing
  Bytes max_size_per_function = Bytes::MiB(64);  // on disk
  std::chrono::milliseconds flush_every{200};
  Bytes flush_at = Bytes::KiB(256);
  Bytes max_buffer = Bytes::MiB(4);   // of one function, not yet on disk
  Bytes max_line = Bytes::KiB(256);   // a longer line is cut into several
  Bytes max_answer = Bytes::MiB(32);  // of one Read
};

struct LogRecord {
  WallTime time;
  std::string stream;   // id of the instance
  std::string version;  // "7"
  std::string message;  // without newline; valid UTF-8
};

struct LogQuery {
  std::size_t limit = 10'000;          // the newest so many
  std::optional<WallTime> since = {};  // not older than
};

class LogFile;      // one function's
class LogFollower;  // Follow()
struct LogFollowerState;

// One instance's way into its function's log. Must not outlive the store.
class LogWriter {
 public:
  // `text` is one or more lines; newlines part them and a last one may be missing.
  void Append(WallTime time, std::string_view text);

 private:
  friend class LogStore;
  std::shared_ptr<LogFile> file_;
  class LogStore* store_ = nullptr;
  std::string prefix_;  // TAB STREAM TAB VERSION TAB
};

class LogStore {
 public:
  LogStore(Executor loop, BlockingPool& pool, LogOptions options);
  ~LogStore();  // REQUIRES: Stop() was awaited, or the loop no longer runs

  void Start();       // begins to flush in the background
  Task<void> Stop();  // ends followers, flushes

  LogWriter Open(const std::string& function, const std::string& stream,
                 const std::string& version);
  // Oldest first; what is not on disk yet included.
  Task<Result<std::vector<LogRecord>>> Read(std::string function, LogQuery query);
  // Reads and then goes on: the first Next() answers what Read() would, each later one what came
  // since; nothing twice, nothing left out but what a slow reader could not take.
  std::unique_ptr<LogFollower> Follow(std::string function, LogQuery query);
  Task<void> Flush();
  // Functions whose log is at hand: written to, read or followed lately.
  std::size_t Known() const { return files_.size(); }
  BlockingPool& Pool() { return pool_; }  // where disk work goes

 private:
  friend class LogWriter;
  friend class LogFollower;
  std::shared_ptr<LogFile> Find(const std::string& function);
  void Forget();
  Task<void> FlushLoop();
  Task<void> FlushSoon(std::shared_ptr<LogFile> file);
  Task<void> FlushFile(std::shared_ptr<LogFile> file);
  Task<Result<std::vector<LogRecord>>> ReadFile(std::shared_ptr<LogFile> file, LogQuery query,
                                                LogFollowerState* follower);

  Executor loop_;
  BlockingPool& pool_;
  LogOptions options_;
  std::map<std::string, std::shared_ptr<LogFile>> files_;
  TaskGroup tasks_;
};

class LogFollower {
 public:
  explicit LogFollower(std::unique_ptr<LogFollowerState> state);
  ~LogFollower();
  // Waits for at least one line. Empty: the deadline passed (call again) or the store stopped.
  Task<Result<std::vector<LogRecord>>> Next(Deadline deadline);
  bool Ended() const;  // the store stopped: no more will come

 private:
  friend class LogStore;
  std::unique_ptr<LogFollowerState> state_;
};

}  // namespace samovar
