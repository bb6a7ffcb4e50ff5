#include "collections/graph_reach.h"

namespace samovar {

using layout::kNoLink;

GraphReach::GraphReach(GraphLevel& level, std::uint32_t root)
    : level_(level), parent_(level.Count(), kNoLink) {
  parent_[root] = root;
  Spread(root);
}

bool GraphReach::Attach(std::uint32_t from, std::uint32_t node) {
  if (!Link(from, node)) return false;
  Link(node, from);
  parent_[node] = from;
  Spread(node);
  return true;
}

// Of thousands of equal rows the first few are found by all the others and soon have no room. Those
// without room have children alone, and the last of a branch have none.
void GraphReach::AttachBelow(std::uint32_t from, std::uint32_t node) {
  std::uint32_t links[layout::kLinks];
  std::uint32_t way = node * 0x9e3779b1U;
  while (!Attach(from, node)) {
    from = links[(way >> 16) % level_.Links(from, links)];
    way = way * 0x85ebca6bU + 1;
  }
}

bool GraphReach::Link(std::uint32_t from, std::uint32_t to) {
  std::uint32_t links[layout::kLinks];
  const std::size_t places = level_.Links(from, links);
  std::size_t count = 0;
  for (; count < places && links[count] != kNoLink; ++count) {
    if (links[count] == to) return true;
  }
  if (count < places) {
    level_.SetOne(from, count, to);
    return true;
  }
  // The last ones are the farthest, by and large.
  for (std::size_t i = places; i-- > 0;) {
    if (parent_[links[i]] == from) continue;
    level_.SetOne(from, i, to);
    return true;
  }
  return false;
}

void GraphReach::Spread(std::uint32_t node) {
  open_.push_back(node);
  std::uint32_t links[layout::kLinks];
  while (!open_.empty()) {
    const std::uint32_t from = open_.back();
    open_.pop_back();
    const std::size_t places = level_.Links(from, links);
    for (std::size_t i = 0; i < places && links[i] != kNoLink; ++i) {
      if (Has(links[i])) continue;
      parent_[links[i]] = from;
      open_.push_back(links[i]);
    }
  }
}

}  // namespace samovar
