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

#include "collections/layout.h"
#include "collections/vectors.h"

namespace samovar {

// Rows that are compared with one query.
struct NearRows {
  const QueryVector* query;
  const char* vectors;
  const layout::Facts* facts;

  float One(std::uint32_t row) const {
    float rank = 0;
    query->RankRows(vectors, &row, 1, facts, &rank);
    return rank;
  }
};

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
  VisitedNodes visited;
  std::vector<RankedNode> candidates;  // a heap, the nearest at its front
  std::vector<RankedNode> best;        // a heap, the farthest at its front

  void Begin() {
    visited.Clear();
    candidates.clear();
    best.clear();
  }
  void Start(std::uint32_t node, float rank, bool keep = true) {
    if (!visited.Add(node)) return;
    candidates.push_back({rank, node});
    std::ranges::push_heap(candidates, kFartherFirst);
    if (!keep) return;
    best.push_back({rank, node});
    std::ranges::push_heap(best, kNearerFirst);
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

// REQUIRES: scratch.Begin() and Start(). False: ended by `limit` nodes met.
// The guide says of a node whether it is one of the `width` best (Keep), and of a rank whether to
// go on for it although so many are better (Wants).
template <class Level, class Guide>
bool Walk(const Level& level, const NearRows& near, std::size_t width, std::size_t limit,
          WalkScratch& scratch, Guide&& guide) {
  auto& [visited, candidates, best] = scratch;
  constexpr std::size_t kFirst = 4;  // rows that are fetched before they are compared
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
      if (fresh < kFirst) near.query->Ahead(near.vectors, rows[fresh]);
      __builtin_prefetch(near.facts + rows[fresh]);
      ++fresh;
    }
    near.query->RankRows(near.vectors, rows, fresh, near.facts, ranks);
    for (std::size_t i = 0; i < fresh; ++i) {
      const bool worse = best.size() >= width && ranks[i] <= best.front().rank;
      if (worse && !guide.Wants(ranks[i])) continue;
      candidates.push_back({ranks[i], nodes[i]});
      std::ranges::push_heap(candidates, kFartherFirst);
      if (candidates.front().node == nodes[i]) level.Ahead(nodes[i]);
      if (!guide.Keep(nodes[i], ranks[i]) || worse) continue;
      if (best.size() >= width) {
        std::ranges::pop_heap(best, kNearerFirst);
        best.pop_back();
      }
      best.push_back({ranks[i], nodes[i]});
      std::ranges::push_heap(best, kNearerFirst);
    }
  }
  return true;
}

}  // namespace samovar
