#pragma once
// GraphLevels: the links of a graph while it is built: read by many threads while others write.
//
// How      A list is changed under its lock, word by word; who reads it takes no lock and may see
//          some words old, some new: each of them is a link that was there.
// Threads  Safe.

#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <vector>

#include "collections/graph_walk.h"

namespace samovar {

// How many levels above level 0 a row stands in: each has a sixteenth of the one below.
inline std::uint32_t LevelOf(std::uint64_t row) {
  std::uint64_t x = (row + 1) * 0x9e3779b97f4a7c15;  // splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  x ^= x >> 31;
  std::uint32_t level = 0;
  for (; level < layout::kMaxLevels && (x & 15) == 0; x >>= 4) ++level;
  return level;
}

class GraphLevel {
 public:
  // A level of `count` nodes. `rows` empty: node n is row n.
  GraphLevel(std::size_t count, std::size_t degree, std::vector<std::uint32_t> rows)
      : degree_(degree), rows_(std::move(rows)), links_(count * degree, layout::kNoLink) {}

  std::size_t Count() const { return links_.size() / degree_; }
  std::size_t Degree() const { return degree_; }
  std::uint32_t RowOf(std::uint32_t node) const { return rows_.empty() ? node : rows_[node]; }
  // REQUIRES: the row stands in this level.
  std::uint32_t NodeOf(std::uint32_t row) const {
    if (rows_.empty()) return row;
    return static_cast<std::uint32_t>(std::ranges::lower_bound(rows_, row) - rows_.begin());
  }
  void Ahead(std::uint32_t node) const { __builtin_prefetch(&links_[node * degree_]); }
  std::size_t Links(std::uint32_t node, std::uint32_t* out) const {
    for (std::size_t i = 0; i < degree_; ++i) out[i] = At(node, i).load(std::memory_order_relaxed);
    return degree_;
  }
  // REQUIRES: its lock is held, or nobody else writes.
  template <class Range>
  void Set(std::uint32_t node, const Range& links) {
    std::size_t i = 0;
    for (const auto& link : links) At(node, i++).store(link.node, std::memory_order_relaxed);
    for (; i < degree_; ++i) At(node, i).store(layout::kNoLink, std::memory_order_relaxed);
  }
  void SetOne(std::uint32_t node, std::size_t place, std::uint32_t link) {
    At(node, place).store(link, std::memory_order_relaxed);
  }
  std::mutex& Lock(std::uint32_t node) { return locks_[node % kLocks]; }
  const std::vector<std::uint32_t>& Words() const { return links_; }

 private:
  static constexpr std::size_t kLocks = 1024;
  std::atomic_ref<std::uint32_t> At(std::uint32_t node, std::size_t i) const {
    return std::atomic_ref(links_[node * degree_ + i]);
  }
  std::size_t degree_;
  std::vector<std::uint32_t> rows_;
  mutable std::vector<std::uint32_t> links_;
  std::unique_ptr<std::mutex[]> locks_ = std::make_unique<std::mutex[]>(kLocks);
};

}  // namespace samovar
