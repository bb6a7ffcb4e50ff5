#pragma once
// Scheduler: whether a version should start another instance now.
//
// Why      A start costs time, CPU and memory; waiting for a warm instance costs the caller time.
// How      From moving averages of how long starts and calls take. A start is worth it where
//            - one request's expected wait for a warm instance is longer than a start, or
//            - requests have waited, added up over the last seconds, longer than a start: no single
//              one of them would pay for it, all together they do (rent until the rent paid equals
//              the price, then buy).
//          Never more starts than requests waiting.
// Units    std::chrono.
// Errors   None.
// Threads  Not thread-safe; one per pool. Pure: time comes in.

#include <chrono>
#include <cstddef>
#include <optional>

#include "base/clock.h"

namespace samovar {

// An exponentially weighted average; empty until the first value.
class MovingAverage {
 public:
  void Add(std::chrono::nanoseconds value);
  std::optional<std::chrono::nanoseconds> Value() const { return value_; }

 private:
  std::optional<std::chrono::nanoseconds> value_;
};

struct PoolLoad {
  std::size_t waiting = 0;   // requests without an instance
  std::size_t ready = 0;     // places of instances that can serve; all taken, else none would wait
  std::size_t starting = 0;  // places of instances on their way; each will take one request
  std::chrono::nanoseconds oldest_wait{0};
  bool clones = false;  // the next start is a clone, not a fresh process
};

class Scheduler {
 public:
  static constexpr std::chrono::seconds kDebtHalfLife{5};

  // A clone takes milliseconds where a fresh process takes seconds: each kind has its average.
  void RecordStart(std::chrono::nanoseconds took, bool clone = false) {
    (clone ? clone_ : start_).Add(took);
  }
  void RecordCall(std::chrono::nanoseconds took) { call_.Add(took); }
  // A queued request was served after waiting so long.
  void RecordWait(SteadyTime now, std::chrono::nanoseconds waited);

  bool ShouldStart(SteadyTime now, const PoolLoad& load) const;
  std::optional<std::chrono::nanoseconds> CloneTime() const { return clone_.Value(); }
  // A start was begun: the waits so far are paid for.
  void Started() { debt_ = {}; }

 private:
  std::chrono::nanoseconds DebtAt(SteadyTime now) const;

  MovingAverage start_;
  MovingAverage clone_;
  MovingAverage call_;
  std::chrono::nanoseconds debt_{0};
  SteadyTime debt_at_{};
};

}  // namespace samovar
