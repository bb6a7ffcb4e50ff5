#pragma once
// Walk: the search within one level of a graph of near rows, in one that is being built as in one
// that is done.
//
// How      A level answers Links(node, out): as many places as it says, of which layout::kNoLink
//          are none and come last; RowOf(node); Ahead(node): fetch what Links will read.
// Threads  A scratch belongs to one walk at a time.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "collections/compared_rows.h"
#include "collections/layout.h"

namespace samovar {

struct RankedNode {
  float rank;  // more is nearer
  std::uint32_t node;
};
inline constexpr auto kNearerFirst = [](const RankedNode& a, const RankedNode& b) {
  return a.rank > b.rank;
};
inline constexpr auto kFartherFirst = [](const RankedNode& a, const RankedNode& b) {
  return a.rank < b.rank;
};

// The nodes that a walk has met: a small hash table, as a walk meets few of many.
class VisitedNodes {
 public:
  VisitedNodes() { Resize(1 << 12); }
  void Clear() {
    std::ranges::fill(slots_, layout::kNoLink);
    count_ = 0;
  }
  // Whether it was not there.
  bool Add(std::uint32_t node) {
    std::size_t i = Place(node);
    for (; slots_[i] != layout::kNoLink; i = (i + 1) & mask_) {
      if (slots_[i] == node) return false;
    }
    slots_[i] = node;
    if (++count_ * 2 > slots_.size()) Grow();
    return true;
  }
  std::size_t Count() const { return count_; }

 private:
  std::size_t Place(std::uint32_t node) const { return (node * 0x9e3779b1U >> 7) & mask_; }
  void Resize(std::size_t size) {
    slots_.assign(size, layout::kNoLink);
    mask_ = size - 1;
    count_ = 0;
  }
  void Grow() {
    const std::vector<std::uint32_t> old = std::move(slots_);
    Resize(old.size() * 4);
    for (const std::uint32_t node : old) {
      if (node != layout::kNoLink) Add(node);
    }
  }
  std::vector<std::uint32_t> slots_;
  std::size_t mask_ = 0;
  std::size_t count_ = 0;
};

struct WalkScratch {
  WalkScratch() {
    for (auto* nodes : {&candidates, &best, &too_far, &outdone}) nodes->reserve(kUsual);
  }

  static constexpr std::size_t kUsual = 512;  // what a search meets, without growing step by step
  VisitedNodes visited;
  std::vector<RankedNode> candidates;  // a heap, the nearest at its front
  std::vector<RankedNode> best;        // a heap, the farthest at its front
  // What a wider walk begins with besides.
  std::vector<RankedNode> too_far;  // nodes that were met, and no more
  std::vector<RankedNode> outdone;  // that were among the best

  void Begin() {
    visited.Clear();
    for (auto* nodes : {&candidates, &best, &too_far, &outdone}) nodes->clear();
  }
  void Start(std::uint32_t node, float rank, bool keep = true) {
    if (!visited.Add(node)) return;
    candidates.push_back({rank, node});
    std::ranges::push_heap(candidates, kFartherFirst);
    if (!keep) return;
    best.push_back({rank, node});
    std::ranges::push_heap(best, kNearerFirst);
  }
  // Whatever is refused is so for good: what is kept only gets nearer.
  template <class Guide>
  bool Refuses(float rank, std::size_t width, const Guide& guide) const {
    return IsWorse(rank, width) && !guide.Wants(rank);
  }
  // A node that was met, for a walk that keeps `width`. Whether the walk goes on from it.
  template <class Guide>
  bool Offer(const RankedNode& met, std::size_t width, Guide&& guide) {
    const bool worse = IsWorse(met.rank, width);
    if (worse && !guide.Wants(met.rank)) {
      too_far.push_back(met);
      return false;
    }
    candidates.push_back(met);
    std::ranges::push_heap(candidates, kFartherFirst);
    if (!guide.Keep(met.node, met.rank) || worse) return true;
    if (best.size() >= width) {
      std::ranges::pop_heap(best, kNearerFirst);
      outdone.push_back(best.back());
      best.pop_back();
    }
    best.push_back(met);
    std::ranges::push_heap(best, kNearerFirst);
    return true;
  }
  // As if the walk so far had kept `width`, which is no less than it did.
  template <class Guide>
  void Widen(std::size_t width, Guide&& guide) {
    best.insert(best.end(), outdone.begin(), outdone.end());
    outdone.clear();
    if (best.size() > width) {
      const auto last = best.begin() + static_cast<std::ptrdiff_t>(width);
      std::ranges::nth_element(best, last, kNearerFirst);
      outdone.assign(last, best.end());
      best.erase(last, best.end());
    }
    std::ranges::make_heap(best, kNearerFirst);
    const auto refused = std::ranges::partition(
        too_far, [&](const RankedNode& each) { return Refuses(each.rank, width, guide); });
    std::vector<RankedNode> met(refused.begin(), refused.end());
    too_far.erase(refused.begin(), refused.end());
    std::ranges::make_heap(met, kFartherFirst);
    while (!met.empty() && !Refuses(met.front().rank, width, guide)) {
      std::ranges::pop_heap(met, kFartherFirst);
      Offer(met.back(), width, guide);
      met.pop_back();
    }
    too_far.insert(too_far.end(), met.begin(), met.end());
  }

 private:
  bool IsWorse(float rank, std::size_t width) const {
    return best.size() >= width && rank <= best.front().rank;
  }
};

// A guide that keeps the nodes which `keep` names, and no other goal.
template <class Its>
struct KeepThose {
  Its keep;
  bool Keep(std::uint32_t node, float) const { return keep(node); }
  bool Wants(float) const { return false; }
};
template <class Its>
KeepThose(Its) -> KeepThose<Its>;

// REQUIRES: scratch.Begin() and Start(), or Widen(). False: ended by `limit` nodes met.
// The guide says of a node whether it is one of the `width` best (Keep), and of a rank whether to
// go on for it although so many are better (Wants).
template <class Level, class Guide>
bool Walk(const Level& level, const ComparedRows& near, std::size_t width, std::size_t limit,
          WalkScratch& scratch, Guide&& guide) {
  auto& visited = scratch.visited;
  auto& candidates = scratch.candidates;
  const auto& best = scratch.best;
  std::uint32_t nodes[layout::kLinks];
  std::uint32_t rows[layout::kLinks];
  float ranks[layout::kLinks];
  while (!candidates.empty()) {
    const RankedNode from = candidates.front();
    if (best.size() >= width && from.rank < best.front().rank && !guide.Wants(from.rank)) {
      return true;
    }
    if (visited.Count() > limit) return false;
    std::ranges::pop_heap(candidates, kFartherFirst);
    candidates.pop_back();
    if (!candidates.empty()) level.Ahead(candidates.front().node);
    const std::size_t links = level.Links(from.node, nodes);
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < links && nodes[i] != layout::kNoLink; ++i) {
      if (!visited.Add(nodes[i])) continue;
      nodes[fresh] = nodes[i];
      rows[fresh] = level.RowOf(nodes[i]);
      near.Ahead(rows[fresh++]);  // all at once: memory answers many as soon as one
    }
    near.Rank(rows, fresh, ranks);
    for (std::size_t i = 0; i < fresh; ++i) {
      if (!scratch.Offer({ranks[i], nodes[i]}, width, guide)) continue;
      if (candidates.front().node == nodes[i]) level.Ahead(nodes[i]);
    }
  }
  return true;
}

}  // namespace samovar
