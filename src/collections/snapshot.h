#pragma once
// Snapshot: a collection as one generation has it. Reading it waits for nobody and copies nothing.
//
// How      Of a segment that has a graph of near rows a search walks over that, of one in cells it
//          compares the nearest cells, of one that is still open all rows; and every vector where
//          that takes no longer, where the filter leaves few rows, or where walks find too little.
//          Who may be answered (alive, by the filter) is looked up only for rows that would be
//          among the best.
// Units    score: Metric's own (QueryVector::ToScore).
// Errors   kConflict once the snapshot is older than the collection keeps views (layout::Control
//          `expired`): take another.
// Threads  Immutable.

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collections/filter.h"
#include "collections/patches.h"
#include "collections/segment.h"

namespace samovar {

struct Hit {
  RowRef row;
  float score = 0;
};

inline constexpr std::size_t kMaxHits = 10'000;

struct SearchOptions {
  bool exact = false;          // compare every vector
  std::size_t candidates = 0;  // rows that a walk keeps: more find more; 0: what suits `k`
};

// What a snapshot is of: the same until segments change.
struct View {
  Schema schema;
  std::uint64_t manifest = 0;
  std::uint64_t first_generation = 0;
  std::vector<SegmentPtr> segments;  // oldest first
  std::shared_ptr<Patches> patches;
  std::shared_ptr<MappedFile> control;

  const layout::Control& Control() const {
    return *reinterpret_cast<const layout::Control*>(control->Data());
  }
};
using ViewPtr = std::shared_ptr<const View>;

class Snapshot {
 public:
  Snapshot() = default;
  Snapshot(ViewPtr view, std::uint64_t generation);

  const Schema& Of() const { return view_->schema; }
  std::uint64_t Generation() const { return generation_; }
  // kConflict where what was read of it cannot be trusted any more: asked after reading.
  Result<void> Check() const;

  std::optional<RowRef> Find(std::string_view id) const;
  std::string_view Id(RowRef row) const { return At(row).Id(row.row); }
  Result<std::string_view> Attributes(RowRef row) const;  // "" where it has none
  std::vector<float> Vector(RowRef row) const;
  // At most `k`, the nearest first. `k` at least 1, at most kMaxHits.
  Result<std::vector<Hit>> Search(std::span<const float> vector, std::size_t k,
                                  const Filter& filter = {}, SearchOptions options = {}) const;
  // nullopt where it would take longer than about `most`, as far as that can be told: then it ends
  // in less. For who must not keep others waiting.
  Result<std::optional<std::vector<Hit>>> SearchWithin(std::chrono::nanoseconds most,
                                                       std::span<const float> vector, std::size_t k,
                                                       SearchOptions options = {}) const;
  // The row behind one in the order of storage (nullopt: the first); nullopt at the end.
  std::optional<RowRef> Next(std::optional<RowRef> after) const;
  std::uint64_t Count() const;  // looks at each row

  const View& Parts() const { return *view_; }
  // Rows of a segment that may be visible: [0, RowsOf).
  std::uint64_t RowsOf(std::size_t segment) const { return counts_[segment]; }
  bool Visible(RowRef row) const { return At(row).Visible(row.row, generation_); }

 private:
  Result<std::optional<std::vector<Hit>>> SearchAll(std::span<const float> vector, std::size_t k,
                                                    const Filter& filter, SearchOptions options,
                                                    std::chrono::nanoseconds most) const;
  const Segment& At(RowRef row) const { return *view_->segments[row.segment]; }

  ViewPtr view_;
  std::uint64_t generation_ = 0;
  std::vector<std::uint64_t> counts_;
};

// How much of the true answer a search finds, of rows that are there, spread over all.
struct Recall {
  double found = 1;  // part of the `k` nearest
  std::size_t queries = 0;
  std::uint64_t generation = 0;
};
Result<Recall> MeasureRecall(const Snapshot& snapshot, std::size_t queries, std::size_t k,
                             SearchOptions options = {});

}  // namespace samovar
