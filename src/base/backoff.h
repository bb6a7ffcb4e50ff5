#pragma once
// Backoff: when to try again what failed, and whether to tell of it.
//
// How      The wait doubles with each failure in a row, from `first` up to `most`.
// Threads  One.

#include <algorithm>

#include "base/clock.h"

namespace samovar {

class Backoff {
 public:
  Backoff(std::chrono::nanoseconds first, std::chrono::nanoseconds most)
      : first_(first), most_(most) {}

  bool Due(SteadyTime now) const { return now >= at_; }
  // Whether it is the first failure since it last went well: the one to tell of.
  bool Failed(SteadyTime now) {
    const bool news = wait_.count() == 0;
    wait_ = news ? first_ : std::min(2 * wait_, most_);
    at_ = now + wait_;
    return news;
  }
  // Whether it had failed before.
  bool Succeeded() {
    const bool news = wait_.count() != 0;
    wait_ = std::chrono::nanoseconds(0);
    at_ = {};
    return news;
  }

 private:
  std::chrono::nanoseconds first_;
  std::chrono::nanoseconds most_;
  std::chrono::nanoseconds wait_{0};
  SteadyTime at_{};
};

}  // namespace samovar
