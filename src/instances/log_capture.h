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
#include <vector>

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
  // The tail of one call among several that run at a time: its own lines of the platform, and what
  // the runtime printed meanwhile, for whichever call.
  class Tail {
   public:
    explicit Tail(LogCapture& capture);
    Tail(const Tail&) = delete;
    ~Tail();
    std::string Take();

   private:
    friend class LogCapture;
    LogCapture& capture_;
    std::string text_;
  };

  // Lines of the platform's own; into `tail` alone, where there is one.
  void Print(std::string_view lines, Tail* tail = nullptr);
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
  static void Grow(std::string& tail, std::string_view text);

  const Clock& clock_;
  asio::posix::basic_stream_descriptor<Executor> pipe_;
  LogWriter writer_;
  std::int64_t& shared_allowance_;
  std::int64_t allowance_ = kAllowance;
  Signal refilled_;
  std::string open_line_;
  bool keep_tail_ = false;
  std::string tail_;
  std::vector<Tail*> tails_;
  bool closed_ = false;
};

}  // namespace samovar
