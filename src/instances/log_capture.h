#pragma once
// LogCapture: one instance's output on its way into the log, and the tail of the call under way.
//
// Why      What a handler printed before it answered belongs to that call, so the pipe is emptied
//          when the answer is there; what it prints in a long call should be seen before it ends.
// How      Reads as the pipe fills, within an allowance a turn of the ticker, so that a flood
//          waits in the pipe and blocks only its writer. Where others have used up what all
//          share, a little is still read each turn: their flood must not block this writer.
//          Drain() reads what is there at once. A line without an end is cut at 64 KiB, and ends
//          with the call.
// Errors   None: a broken pipe ends the reading.
// Threads  The event loop only.

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/task.h"
#include "instances/log_store.h"
#include "instances/signal.h"
#include "os/fd.h"

namespace samovar {

class LogCapture {
 public:
  static constexpr std::size_t kTail = 4096;
  static constexpr std::int64_t kAllowance = 256 << 10;  // a turn; a line costs 64 more

  // `allowance` is what all captures share in a turn of the ticker.
  LogCapture(const Executor& loop, const Clock& clock, Fd pipe, LogWriter writer,
             std::int64_t& allowance);

  // Reads until the other end is closed or Close().
  Task<void> Run();
  // Takes what is in the pipe now and ends an open line.
  void Drain();
  // A line of the platform's own.
  void Print(std::string_view line);
  // A new turn: a reader that waits for its allowance goes on.
  void Refill();
  void Close();

  void BeginCall(bool keep_tail);
  std::string TakeTail();  // the last 4 KiB since BeginCall

 private:
  static constexpr std::size_t kRead = 32 << 10;
  static constexpr std::size_t kLeast = 4 << 10;  // in a turn, whatever others print

  // Bytes read; 0 where there is nothing now, negative at the end.
  ssize_t ReadOnce(std::size_t most = kRead);
  bool MayRead() const;
  void Take(std::string_view text);
  void Emit(std::string_view text);  // whole lines

  const Clock& clock_;
  asio::posix::basic_stream_descriptor<Executor> pipe_;
  LogWriter writer_;
  std::int64_t& shared_allowance_;
  std::int64_t allowance_ = kAllowance;
  Signal refilled_;
  std::string open_line_;
  bool keep_tail_ = false;
  std::string tail_;
  bool closed_ = false;
};

}  // namespace samovar
