#pragma once
// Clock and Deadline: time as a parameter.
//
// Why      Policies are tested with a FakeClock, so nothing below main() reads the time itself.
// Units    std::chrono. A Deadline is a point on the steady clock and is handed down unchanged;
//          timeouts are never added up.
// Threads  Clock is immutable and safe; FakeClock is for one thread.

#include <chrono>

namespace samovar {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime Now() const = 0;
  virtual WallTime Wall() const = 0;
};

// The machine's own clocks.
class SystemClock final : public Clock {
 public:
  SteadyTime Now() const override { return std::chrono::steady_clock::now(); }
  WallTime Wall() const override { return std::chrono::system_clock::now(); }
};

// Stands still until advanced.
class FakeClock final : public Clock {
 public:
  SteadyTime Now() const override { return now_; }
  WallTime Wall() const override { return wall_; }
  void Advance(std::chrono::nanoseconds by) {
    now_ += by;
    wall_ += std::chrono::duration_cast<WallTime::duration>(by);
  }

 private:
  SteadyTime now_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::seconds(1'800'000'000)};
};

struct Deadline {
  SteadyTime at = SteadyTime::max();

  static Deadline Never() { return {}; }
  static Deadline After(const Clock& clock, std::chrono::nanoseconds wait) {
    return {clock.Now() + wait};
  }
  bool Passed(SteadyTime now) const { return now >= at; }
  // Time left, never negative.
  std::chrono::nanoseconds Left(SteadyTime now) const {
    return now >= at ? std::chrono::nanoseconds(0) : at - now;
  }
  friend Deadline Earlier(Deadline a, Deadline b) { return a.at < b.at ? a : b; }
};

}  // namespace samovar
