#include "instances/keep_alive.h"

#include <algorithm>

namespace samovar {

void KeepAlive::RecordGap(std::chrono::nanoseconds gap) {
  auto minutes = std::chrono::floor<std::chrono::minutes>(gap);
  ++bins_[static_cast<std::size_t>(std::clamp<std::int64_t>(minutes.count(), 0, kRange.count()))];
  if (++samples_ < kMaxSamples) return;
  // What was long ago counts half, so that the window follows the function.
  samples_ = 0;
  for (auto& bin : bins_) samples_ += bin /= 2;
}

std::chrono::milliseconds KeepAlive::Window() const {
  if (policy_.fixed) return *policy_.fixed;
  if (samples_ < kEnoughSamples) return kDefault;
  // The end of the first bin by which 99 % of all gaps are over.
  std::uint64_t wanted = samples_ - samples_ / 100;
  std::uint64_t seen = 0;
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    seen += bins_[bin];
    if (seen >= wanted) {
      return std::min<std::chrono::minutes>(std::chrono::minutes(bin + 1), kRange);
    }
  }
  return kRange;
}

}  // namespace samovar
