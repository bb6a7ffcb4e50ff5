#pragma once
// KeepAlive: how long an idle instance of one function stays warm, and when it is worth to be away
// meanwhile.
//
// Why      A cold start costs the caller time; an idle instance costs the host memory.
// How      Counts idle gaps in 1-minute bins up to 4 hours. A gap is the time for which the whole
//          function had nothing to do. The 99th percentile ends the warmth; where hardly any gap is
//          shorter than the 5th percentile, nothing needs to be warm before that. Where the
//          histogram tells nothing (few gaps, most of them beyond the range, or all lengths alike)
//          the standard keep-alive holds. docs/scaling.md has what it costs and saves on a trace.
// Units    std::chrono only. No bare integers cross this interface.
// Errors   None: every function here is total. A negative gap counts as zero.
// Threads  Not thread-safe. One per function, owned by that function's pool.
// Source   M. Shahrad et al., "Serverless in the Wild", USENIX ATC 2020, section 4: the hybrid
//          histogram policy. Its time-series forecast (ARIMA), for functions that are called less
//          than every 4 hours, is left out: they get the standard keep-alive.

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

namespace samovar {

struct KeepAlivePolicy {
  // Fixed where set; learned otherwise.
  std::optional<std::chrono::milliseconds> fixed;

  std::chrono::minutes standard{10};  // where the gaps tell nothing
  std::uint64_t enough_samples = 20;  // fewer gaps tell nothing
  double beyond_range = 0.5;          // nor do they where more than this share is out of range,
  double variation = 2;               // or std / mean of the bins is less
  double head = 0.05;
  double tail = 0.99;
  double margin = 0.1;  // earlier than the head, later than the tail
  bool prewarm = true;
};

class KeepAlive {
 public:
  static constexpr std::chrono::minutes kRange{240};
  static constexpr std::uint64_t kMaxSamples = 1'000'000;

  explicit KeepAlive(KeepAlivePolicy policy = {}) : policy_(policy) {}

  // Records the time from the end of one call to the start of the next.
  void RecordGap(std::chrono::nanoseconds gap);

  // How long after its last call the function stays warm: the fixed or standard time, or one in
  // [1 min, kRange].
  std::chrono::milliseconds Window() const { return Decide().window; }
  // Where set, no instance needs to live from the last call on until so long after it; one must be
  // ready then, until Window() is over. Less than Window().
  std::optional<std::chrono::milliseconds> PrewarmAfter() const { return Decide().prewarm_after; }

 private:
  static constexpr std::size_t kBins = kRange.count();
  struct Decision {
    std::chrono::milliseconds window{0};
    std::optional<std::chrono::milliseconds> prewarm_after;
  };
  const Decision& Decide() const;
  Decision Learned() const;
  bool Tells() const;
  // The bin by which `share` of the gaps within the range are over.
  std::size_t BinAt(double share) const;

  KeepAlivePolicy policy_;
  std::array<std::uint32_t, kBins> bins_{};
  std::uint64_t within_ = 0;                  // the sum of bins_
  std::uint64_t beyond_ = 0;                  // gaps out of the range
  mutable std::optional<Decision> decision_;  // none since the last gap
};

}  // namespace samovar
