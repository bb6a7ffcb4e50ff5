#pragma once
// CommitTimes: how long batches take on their way in, by stage, in counts that only grow.
//
// Why      A write is slow for want of a turn, of room, of the disk or of memory, and each wants
//          another remedy.
// How      A histogram a stage. kWait counts batches; the others count groups of batches of one
//          collection, which share a sync.
// Threads  Safe.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace samovar {

enum class CommitStage : std::uint8_t {
  kWait,     // until the writing thread takes it
  kPrepare,  // checked, with room found for it; waits for a flush where there is none
  kLog,      // written and synced
  kPublish,  // put into the open segment and shown to readers
};

class CommitTimes {
 public:
  static constexpr std::array<std::string_view, 4> kStages{"wait", "prepare", "log", "publish"};
  static constexpr std::array<double, 13> kBounds{
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5};  // s
  struct Histogram {
    std::array<std::uint64_t, kBounds.size() + 1> counts{};  // the last: above all bounds
    std::chrono::nanoseconds sum{0};
  };

  void Add(CommitStage stage, std::chrono::nanoseconds took) {
    const double seconds = std::chrono::duration<double>(took).count();
    std::size_t bound = 0;
    while (bound < kBounds.size() && seconds > kBounds[bound]) ++bound;
    Stage& of = stages_[static_cast<std::size_t>(stage)];
    of.counts[bound].fetch_add(1, std::memory_order_relaxed);
    of.sum.fetch_add(took.count(), std::memory_order_relaxed);
  }

  Histogram Of(CommitStage stage) const {
    const Stage& of = stages_[static_cast<std::size_t>(stage)];
    Histogram made;
    for (std::size_t i = 0; i < made.counts.size(); ++i) {
      made.counts[i] = of.counts[i].load(std::memory_order_relaxed);
    }
    made.sum = std::chrono::nanoseconds(of.sum.load(std::memory_order_relaxed));
    return made;
  }

 private:
  struct Stage {
    std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts{};
    std::atomic<std::int64_t> sum{0};
  };
  std::array<Stage, kStages.size()> stages_{};
};

}  // namespace samovar
