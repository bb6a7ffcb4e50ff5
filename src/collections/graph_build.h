#pragma once
// GraphBuild: makes the graph of a sealed segment (layout::GraphHeader), from nothing or from the
// graph of a segment whose rows went into it.
//
// Why      An insertion costs some hundred microseconds, so a million rows cost minutes: whoever
//          merges a large segment with small ones takes over the links of the large one and pays
//          for the rest alone.
// How      Rows that also stand in levels above come first, in no order: they are the roads.
//          A quarter of the others follows in the same way, then the rest in the order of storage,
//          near rows together. Several threads insert at once. Links of rows that are gone are
//          replaced by the best of what these knew. At the end every row is within reach of where
//          walks begin (graph_reach.h).
// Units    Memory: 136 bytes a row and its code, beside the segment, which is read in place.
// Errors   What the disk says; kUnavailable when `stopped`. The file appears whole or not at all.
// Threads  Any, one a segment; it starts `threads - 1` more.

#include <functional>
#include <vector>

#include "collections/disk.h"
#include "collections/graph.h"
#include "collections/segment.h"

namespace samovar {

struct GraphSeed {
  const Graph* graph = nullptr;
  const std::vector<std::uint32_t>* moved = nullptr;  // its row's number now; kNoLink: gone
};

struct GraphOptions {
  std::size_t width = 100;  // rows that an insertion chooses its links from
  unsigned threads = 1;
  std::function<bool()> stopped = [] { return false; };
};

// `rows`: those of the segment from the first on that are rows, at least 1.
Result<void> BuildGraph(Disk& disk, const std::string& folder, const Segment& segment,
                        const Schema& schema, std::uint64_t rows, const GraphSeed& seed,
                        const GraphOptions& options);

}  // namespace samovar
