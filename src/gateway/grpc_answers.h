#pragma once
// GrpcAnswers: the answers that gRPC holds until their clients have taken them.
//
// Why      A client that reads nothing leaves each of its answers in the server's memory.
// How      An answer counts from when it is made until gRPC says that it is written, or that the
//          call is over. Where there is no room for one more, those that were left longest are
//          broken off first; whoever was answered just now is not.
// Errors   Hold: kThrottled where all that is held is too new to be broken off.
// Threads  The event loop only.

#include <cstdint>
#include <functional>
#include <map>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"

namespace samovar {

class GrpcAnswers {
 public:
  struct Options {
    Bytes most = Bytes::MiB(256);  // one always fits where nothing else is held
    std::chrono::nanoseconds patience = std::chrono::seconds(5);  // where others want the room
    std::chrono::nanoseconds to_take = std::chrono::seconds(60);  // of any answer, and
    Bytes a_second = Bytes::MiB(1);                               // one second more for so much
  };

  explicit GrpcAnswers(const Clock& clock) : GrpcAnswers(clock, Options()) {}
  GrpcAnswers(const Clock& clock, Options options) : clock_(clock), options_(options) {}

  // Its number, for Release. `break_off` ends the call; it runs once at most, and is followed by a
  // Release as any end of a call is.
  Result<std::uint64_t> Hold(Bytes bytes, std::function<void()> break_off);
  void Release(std::uint64_t number);
  // Those that nobody took in time.
  void BreakOffLate();

  std::size_t Count() const { return held_.size(); }
  Bytes Used() const { return used_; }

 private:
  struct Held {
    Bytes bytes;
    SteadyTime since;
    std::function<void()> break_off;  // none: it was done
  };
  void BreakOff(Held& held);

  const Clock& clock_;
  const Options options_;
  std::map<std::uint64_t, Held> held_;  // in the order in which they were made
  std::uint64_t next_ = 1;
  Bytes used_{};  // without those that were broken off
};

}  // namespace samovar
