#pragma once
// GraphReach: which nodes of a level ways lead to from where walks begin, and a way to those that
// none leads to.
//
// Why      A node that is full gives links up without a look at who else leads there, so rows may
//          be left that no search can find.
// How      A tree of links from the root; a link that is not of the tree may go for a better one.
// Threads  Nobody else changes the level.

#include <vector>

#include "collections/graph_levels.h"

namespace samovar {

class GraphReach {
 public:
  GraphReach(GraphLevel& level, std::uint32_t root);

  bool Has(std::uint32_t node) const { return parent_[node] != layout::kNoLink; }
  // Links `node`, and with it all that it leads to, from `from`. False: this has no room.
  // REQUIRES: Has(from), !Has(node).
  bool Attach(std::uint32_t from, std::uint32_t node);
  // The same from `from` or, where that has no room, from what the tree has below it.
  void AttachBelow(std::uint32_t from, std::uint32_t node);

 private:
  // Whether there is a link from `from` to `to` now.
  bool Link(std::uint32_t from, std::uint32_t to);
  void Spread(std::uint32_t node);

  GraphLevel& level_;
  std::vector<std::uint32_t> parent_;  // in the tree; the root's is itself
  std::vector<std::uint32_t> open_;
};

}  // namespace samovar
