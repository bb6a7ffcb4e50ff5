#pragma once
// GraphTrial: finds on a sample how many rows walks through a graph have to keep.
//
// Why      Where rows come in clusters, a query among them needs few candidates and one between
//          them many times as many: whichever number is fixed is wrong for one of the two.
// How      Rows that are moved a little and means of several rows are searched exactly and by walks
//          of growing width. How near the tenth hit of the narrowest walk is tells which kind a
//          query is of: for each width there is a border, below which it does not find enough.
// Units    Cost: some thousandths of what the graph costs.
// Threads  Pure.

#include <functional>

#include "collections/graph_walk.h"
#include "collections/segment.h"

namespace samovar {

// Leaves the best in the scratch, as Graph::Search does.
using SampleWalk = std::function<void(const CodeQuery&, std::size_t width, WalkScratch&)>;

// `rows`: those of the segment from the first on that the graph has. Of no worth when `stopped`.
layout::GraphAdvice FindAdvice(const Segment& segment, const Schema& schema, std::uint64_t rows,
                               const SampleWalk& walk, const std::function<bool()>& stopped);

}  // namespace samovar
