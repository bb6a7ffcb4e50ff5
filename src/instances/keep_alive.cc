#include "instances/keep_alive.h"

#include <algorithm>
#include <cmath>

namespace samovar {

using std::chrono::milliseconds;
using std::chrono::minutes;

void KeepAlive::RecordGap(std::chrono::nanoseconds gap) {
  decision_.reset();
  const auto bin = std::max<std::int64_t>(0, std::chrono::floor<minutes>(gap).count());
  if (bin < kRange.count()) {
    ++bins_[static_cast<std::size_t>(bin)];
    ++within_;
  } else {
    ++beyond_;
  }
  if (within_ + beyond_ < kMaxSamples) return;
  // What was long ago counts half, so that the window follows the function.
  within_ = 0;
  for (auto& count : bins_) within_ += count /= 2;
  beyond_ /= 2;
}

const KeepAlive::Decision& KeepAlive::Decide() const {
  if (!decision_) {
    if (policy_.fixed) {
      decision_ = {.window = *policy_.fixed, .prewarm_after = {}};
    } else {
      decision_ = Tells() ? Learned() : Decision{.window = policy_.standard, .prewarm_after = {}};
    }
  }
  return *decision_;
}

bool KeepAlive::Tells() const {
  const auto all = static_cast<double>(within_ + beyond_);
  if (within_ + beyond_ < policy_.enough_samples || within_ == 0) return false;
  if (static_cast<double>(beyond_) > policy_.beyond_range * all) return false;
  const double mean = static_cast<double>(within_) / kBins;
  double squares = 0;
  for (const auto count : bins_) squares += (count - mean) * (count - mean);
  return std::sqrt(squares / kBins) >= policy_.variation * mean;
}

std::size_t KeepAlive::BinAt(double share) const {
  const auto wanted = std::max(1.0, std::ceil(share * static_cast<double>(within_)));
  double seen = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    seen += bins_[bin];
    if (seen >= wanted) return bin;
  }
  return kBins - 1;
}

KeepAlive::Decision KeepAlive::Learned() const {
  const auto scaled = [](std::size_t bin, double factor) {
    return milliseconds(std::llround(factor * milliseconds(minutes(bin)).count()));
  };
  Decision decision;
  // The end of the tail's bin, the begin of the head's.
  decision.window =
      std::min<milliseconds>(scaled(BinAt(policy_.tail) + 1, 1 + policy_.margin), kRange);
  const auto head = BinAt(policy_.head);
  if (policy_.prewarm && head > 0) decision.prewarm_after = scaled(head, 1 - policy_.margin);
  return decision;
}

}  // namespace samovar
