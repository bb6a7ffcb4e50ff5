#pragma once
// LogFile: one function's log: the lines that are not on disk yet, and the two files.
//
// How      The buffer holds lines in the form they have on disk. Write and ReadNewest are plain
//          blocking functions for the pool; `busy` keeps them from overlapping.
// Errors   Write: kUnavailable; what it could not write is lost, and counted.
// Threads  Members: the event loop. The free functions: any thread, one at a time a directory.

#include <boost/asio/basic_waitable_timer.hpp>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/task.h"
#include "instances/log_store.h"

namespace samovar {

using LogTimer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                            asio::wait_traits<std::chrono::steady_clock>, Executor>;

// What a follower was told and did not take yet.
struct LogFollowerState {
  LogStore* store = nullptr;
  std::shared_ptr<LogFile> file;
  LogQuery query;
  bool began = false;
  bool ended = false;
  std::deque<LogRecord> pending;
  std::size_t lost = 0;
  LogTimer wake;
  explicit LogFollowerState(const Executor& loop) : wake(loop, LogTimer::time_point::max()) {}
};

class LogFile {
 public:
  LogFile(const Executor& loop, std::string directory)
      : directory(std::move(directory)), idle(loop, LogTimer::time_point::max()) {}

  void Append(WallTime time, std::string_view prefix, std::string_view line,
              const LogOptions& options);

  std::string directory;
  std::string buffer;
  std::size_t dropped = 0;  // lines that the buffer had no room for
  bool queued = false;      // a flush was asked for
  bool busy = false;        // the pool has the files
  LogTimer idle;            // cancelled when busy ends
  std::vector<LogFollowerState*> followers;
};

// Appends `text` to the current file; makes it the previous one at half of `bound`.
Result<void> WriteLog(const std::string& directory, std::string_view text, Bytes bound);
// The newest lines that fit the query and `max_answer`, oldest first.
Result<std::vector<LogRecord>> ReadLog(const std::string& directory, const LogQuery& query,
                                       Bytes max_answer);

std::string_view TakeLine(std::string_view& text, std::size_t max_line);
std::optional<LogRecord> ParseLogLine(std::string_view line);
// Bytes that are no UTF-8 become U+FFFD.
std::string ValidUtf8(std::string_view text);

}  // namespace samovar
