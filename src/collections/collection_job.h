#pragma once
// What Collection's flushes and merges work on.

#include "collections/cells.h"
#include "collections/collection.h"
#include "collections/piece_writer.h"

namespace samovar {

// What is done for all rows lets others run so often (Turn).
inline constexpr std::uint64_t kRowsATurn = 1024;

// Rows of several segments that become one sealed segment.
struct Collection::Fresh {
  Snapshot at;  // whose rows they are
  std::uint64_t number = 0;
  Pages pages = Pages::kHuge;
  std::vector<SegmentPtr> sources;
  std::vector<RowRef> rows;                       // in order; their segments are those of `at`
  std::vector<std::vector<std::uint32_t>> moved;  // a source: where each row went
  CellCentres centres;                            // around which they are sorted
  std::vector<std::uint32_t> ends;  // the row behind the last one of each cell; empty: no cells
  std::uint32_t enough = 0;         // layout::CellsHeader
  double fit = 1;                   // of the centres: how near rows are that were held out
  bool has_cells = false;
  bool has_graph = false;
  Work work = Work::kNow;
  mutable std::atomic<bool> left_off = false;  // for good: what was made since is of no worth
  SegmentPtr segment;                          // once it is adopted; none where no row is left
};

// A flush: what was collected is sealed, and a merge that is done is adopted with it.
struct Collection::Job {
  Snapshot at;
  std::uint64_t next_number = 0;              // for the checkpoint
  std::uint64_t patches_end = 0;              // those below are of `at`
  std::vector<SegmentPtr> kept;               // sealed ones that stay
  std::vector<std::unique_ptr<Fresh>> fresh;  // the first is what was collected
  bool checkpointed = false;                  // perhaps: a checkpoint may name the fresh ones
};

}  // namespace samovar
