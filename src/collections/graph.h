#pragma once
// Graph: which rows of a sealed segment are near each other, so that a search looks at a few
// thousand rows of millions. Approximate.
//
// How      A hierarchical navigable small world graph in flat arrays (layout::GraphHeader), that
//          every process reads in place. A walk keeps the `width` best rows that it met and goes
//          on from the best of them that it has not looked around; rows that may not be answered
//          (dead, filtered out) are walked over but not kept. It compares codes of the rows
//          (codes.h), so its ranks are nearly theirs; where these do not tell rows apart (of
//          clusters that are very tight), the rows.
// Errors   Open, Verify: kInternal for a file that is not in its format, kNotFound for none.
// Threads  Immutable.
// Source   Y. Malkov, D. Yashunin, "Efficient and robust approximate nearest neighbor search using
//          Hierarchical Navigable Small World graphs", arXiv 1603.09320.

#include <cstring>
#include <memory>
#include <string>

#include "collections/graph_walk.h"
#include "collections/layout.h"
#include "collections/mapped_file.h"

namespace samovar {

std::string GraphPath(const std::string& folder, std::uint64_t number);

class Graph {
 public:
  // That of the segment which begins with `segment` and stays mapped as long.
  static Result<std::unique_ptr<Graph>> Open(const std::string& folder,
                                             const layout::SegmentHeader& segment,
                                             MappedFile::Access access);
  // Its checksums, and that no link leads out of it.
  Result<void> Verify() const;

  const layout::GraphHeader& Header() const { return *header_; }
  std::uint64_t Rows() const { return header_->rows; }
  const layout::GraphAdvice& Advice() const { return header_->advice; }
  // nullptr: they do not tell these rows apart, and there are none.
  const RowCodes* Codes() const { return codes_.bytes > 0 ? &codes_ : nullptr; }
  const std::uint32_t* Links(std::uint64_t row) const { return links_ + row * layout::kLinks; }
  int File() const { return file_.File(); }
  std::size_t Bytes() const { return file_.Size(); }

  // Leaves the best in `scratch.best`, in no order; `guide` as for Walk. Ends early past `limit`
  // rows looked at: false.
  template <class Guide>
  bool Search(const ComparedRows& near, std::size_t width, std::size_t limit, WalkScratch& scratch,
              Guide&& guide) const {
    std::uint32_t node = 0;
    for (std::uint32_t level = header_->levels; level > 0; --level) {
      const Upper upper{Nodes(level)};
      scratch.Begin();
      scratch.Start(node, near.One(upper.RowOf(node)));
      Walk(upper, near, 1, ~std::size_t{0}, scratch, KeepThose{[](std::uint32_t) { return true; }});
      if (scratch.best.empty()) return false;
      node = upper.nodes[scratch.best.front().node].below;
    }
    scratch.Begin();
    const float rank = near.One(node);
    scratch.Start(node, rank, guide.Keep(node, rank));
    return Walk(Lowest{this}, near, width, limit, scratch, guide);
  }
  // A wider walk, or one with another guide, from where a Search ended that left the scratch.
  template <class Guide>
  bool SearchOn(const ComparedRows& near, std::size_t width, std::size_t limit,
                WalkScratch& scratch, Guide&& guide) const {
    scratch.Widen(width, guide);
    return Walk(Lowest{this}, near, width, limit, scratch, guide);
  }

 private:
  struct Lowest {
    const Graph* graph;
    std::uint32_t RowOf(std::uint32_t node) const { return node; }
    void Ahead(std::uint32_t node) const {
      __builtin_prefetch(graph->Links(node));
      __builtin_prefetch(graph->Links(node) + layout::kLinks / 2);
    }
    std::size_t Links(std::uint32_t node, std::uint32_t* out) const {
      std::memcpy(out, graph->Links(node), layout::kLinks * sizeof(std::uint32_t));
      return layout::kLinks;
    }
  };
  struct Upper {
    const layout::GraphNode* nodes;
    std::uint32_t RowOf(std::uint32_t node) const { return nodes[node].row; }
    void Ahead(std::uint32_t) const {}
    std::size_t Links(std::uint32_t node, std::uint32_t* out) const {
      std::memcpy(out, nodes[node].links, sizeof(nodes[node].links));
      return layout::kUpperLinks;
    }
  };
  const layout::GraphNode* Nodes(std::uint32_t level) const {
    return reinterpret_cast<const layout::GraphNode*>(file_.Data() + header_->level[level - 1].at);
  }
  bool LinksFit() const;

  MappedFile file_;
  const layout::GraphHeader* header_ = nullptr;
  const std::uint32_t* links_ = nullptr;
  RowCodes codes_;
};

}  // namespace samovar
