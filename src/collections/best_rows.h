#pragma once
// BestRows: the best rows that a search has met so far.
// Threads  One search's.

#include <algorithm>
#include <vector>

#include "collections/segment.h"

namespace samovar {

struct RankedRow {
  float rank;  // more is nearer
  RowRef row;
};

// A heap whose front is the worst of them.
class BestRows {
 public:
  explicit BestRows(std::size_t k) : k_(k) { heap_.reserve(k); }
  bool Wants(float rank) const { return heap_.size() < k_ || rank > heap_.front().rank; }
  void Add(RankedRow ranked) {
    if (heap_.size() == k_) {
      std::ranges::pop_heap(heap_, kWorstFirst);
      heap_.pop_back();
    }
    heap_.push_back(ranked);
    std::ranges::push_heap(heap_, kWorstFirst);
  }
  std::vector<RankedRow> Sorted() {
    std::ranges::sort_heap(heap_, kWorstFirst);
    return std::move(heap_);
  }
  const std::vector<RankedRow>& All() const { return heap_; }

 private:
  static constexpr auto kWorstFirst = [](const RankedRow& a, const RankedRow& b) {
    return a.rank > b.rank;
  };
  std::size_t k_;
  std::vector<RankedRow> heap_;
};

}  // namespace samovar
