#pragma once
// KeepAlive: how long an idle instance of one function stays warm.
//
// Why      A cold start costs the caller time; an idle instance costs the host memory.
// How      Counts idle gaps in 1-minute bins up to 4 hours; keeps until the 99th percentile gap. A
//          gap is the time for which the whole function had nothing to do.
// Units    std::chrono only. No bare integers cross this interface.
// Errors   None: every function here is total. A negative gap counts as zero.
// Threads  Not thread-safe. One per function, owned by that function's pool.
// Source   M. Shahrad et al., "Serverless in the Wild", USENIX ATC 2020 (the hybrid histogram
//          policy, without its time-series part).

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

namespace samovar {

struct KeepAlivePolicy {
  // Fixed where set; learned otherwise.
  std::optional<std::chrono::milliseconds> fixed;
};

class KeepAlive {
 public:
  static constexpr std::chrono::minutes kRange{240};
  static constexpr std::chrono::minutes kDefault{10};
  static constexpr std::uint64_t kEnoughSamples = 20;
  static constexpr std::uint64_t kMaxSamples = 1'000'000;

  explicit KeepAlive(KeepAlivePolicy policy = {}) : policy_(policy) {}

  // Records the time from the end of one call to the start of the next.
  void RecordGap(std::chrono::nanoseconds gap);

  // Returns how long to stay warm from now: the fixed time, or one in [1 min, kRange].
  std::chrono::milliseconds Window() const;

 private:
  KeepAlivePolicy policy_;
  std::array<std::uint32_t, kRange.count() + 1> bins_{};  // the last: beyond the range
  std::uint64_t samples_ = 0;
};

}  // namespace samovar
