#pragma once
// SpareCount: how many ready clones a version keeps for what may come.
//
// Why      A spare costs megabytes; who finds none waits for a clone.
// How      Requests that find no idle instance, and come within the time in which a spare is
//          replaced, are a burst; a spare for each of the largest burst seen would have served all.
//          What is long ago fades: the count above one halves every 10 minutes.
// Units    std::chrono.
// Errors   None.
// Threads  Not thread-safe; one per pool. Pure: time comes in.

#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace samovar {

class SpareCount {
 public:
  static constexpr std::size_t kMost = 1000;
  static constexpr std::chrono::minutes kHalfLife{10};
  static constexpr std::chrono::milliseconds kShortest{20};  // no spare is replaced sooner

  // A request found no idle instance. `clone_time` is what making a clone takes.
  void RecordNeed(SteadyTime now, std::chrono::nanoseconds clone_time);
  // In [1, kMost].
  std::size_t Wanted(SteadyTime now) const;

 private:
  double PeakAt(SteadyTime now) const;  // of what is above one

  double peak_ = 0;
  SteadyTime peak_at_{};
  SteadyTime burst_since_{};
  std::size_t burst_ = 0;
};

}  // namespace samovar
