#include "instances/spare_count.h"

#include <algorithm>
#include <cmath>

namespace samovar {

double SpareCount::PeakAt(SteadyTime now) const {
  if (peak_ == 0) return 0;
  double halvings =
      std::chrono::duration<double>(now - peak_at_) / std::chrono::duration<double>(kHalfLife);
  return peak_ * std::exp2(-halvings);
}

void SpareCount::RecordNeed(SteadyTime now, std::chrono::nanoseconds clone_time) {
  if (burst_ == 0 ||
      now - burst_since_ > std::max<std::chrono::nanoseconds>(clone_time, kShortest)) {
    burst_since_ = now;
    burst_ = 0;
  }
  ++burst_;
  double above = static_cast<double>(burst_ - 1);
  if (above <= PeakAt(now)) return;
  peak_ = above;
  peak_at_ = now;
}

std::size_t SpareCount::Wanted(SteadyTime now) const {
  // Rounded to the nearest: half a spare is nobody's need.
  auto above = static_cast<std::size_t>(std::lround(PeakAt(now)));
  return std::min(1 + above, kMost);
}

}  // namespace samovar
