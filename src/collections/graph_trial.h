#pragma once
// GraphTrial: finds on a sample how many rows walks through a graph have to keep.
//
// Why      Where rows come in clusters, a query among them needs few candidates and one between
//          them many times as many: whichever number is fixed is wrong for one of the two.
// How      Rows that are moved a little and means of several rows are searched exactly and by walks
//          of growing width. How near the tenth hit of the narrowest walk is tells which kind a
//          query is of: for each width there is a border, below which it does not find enough.
//          The same queries tell whether codes are of use here at all: in clusters that are very
//          tight rounding moves rows more than they differ.
// Units    Cost: some thousandths of what the graph costs.
// Threads  Pure.

#include <algorithm>
#include <array>
#include <functional>
#include <random>
#include <vector>

#include "collections/graph_advice.h"
#include "collections/graph_walk.h"
#include "collections/panels.h"
#include "collections/segment.h"

namespace samovar {

// For one of the two, whichever it goes by; leaves the best in the scratch, as Graph::Search does.
using SampleWalk =
    std::function<void(const CodeQuery&, const QueryVector&, std::size_t width, WalkScratch&)>;

// What it finds is of no worth when `stopped`.
class GraphTrial {
 public:
  // `rows`: those of the segment from the first on that the graph has.
  GraphTrial(const Segment& segment, const Schema& schema, std::uint64_t rows)
      : segment_(segment),
        schema_(schema),
        rows_(rows),
        nearest_(std::min(kAdvisedHits, rows)),
        values_(schema.dimension) {}

  // Searches exactly. Before all else.
  void Ask(const std::function<bool()>& stopped);
  // Whether a walk that compares codes meets what is nearest among as many as the narrowest walk
  // keeps.
  bool CodesTell(const RowCodes& codes, const std::function<bool()>& stopped) const;
  layout::GraphAdvice Judge(const SampleWalk& walk, const std::function<bool()>& stopped);

 private:
  struct Asked {
    QueryVector query;
    CodeQuery code;
    bool between;
    float nearness = 0;
    std::vector<std::uint32_t> rows{};  // the nearest
    float last = 0;                     // rank of the last of them
    std::array<std::size_t, layout::kAdviceSteps> found{};
  };

  void MakeQueries();
  void AddRow(std::vector<float>& sum, float part);
  std::vector<float> Ranks(const Asked& asked, const std::vector<std::uint32_t>& rows) const;
  std::size_t AmongFirst(const Asked& asked, const std::vector<float>& by_code) const;
  void WalkAll(std::size_t step, const SampleWalk& walk);
  float Border(std::size_t step) const;
  float Found(const layout::GraphAdvice& advice) const;

  const Segment& segment_;
  const Schema& schema_;
  const std::uint64_t rows_;
  const std::size_t nearest_;
  std::mt19937 random_{1};
  std::vector<Asked> asked_;
  FloatRows values_;  // of the queries
  WalkScratch scratch_;
};

}  // namespace samovar
