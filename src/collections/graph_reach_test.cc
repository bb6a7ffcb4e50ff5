#include "collections/graph_reach.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

constexpr std::size_t kDegree = 4;

// Rings of `size` nodes that do not know of each other, each node with all the links that it has
// room for.
GraphLevel Rings(std::size_t rings, std::uint32_t size) {
  GraphLevel level(rings * size, kDegree, {});
  for (std::uint32_t node = 0; node < rings * size; ++node) {
    for (std::uint32_t i = 0; i < kDegree; ++i) {
      level.SetOne(node, i, node / size * size + (node + i + 1) % size);
    }
  }
  return level;
}

TEST(GraphReach, GoesWhereLinksLeadAndNoFarther) {
  GraphLevel level = Rings(2, 10);
  const GraphReach reach(level, 3);
  for (std::uint32_t node = 0; node < 20; ++node) EXPECT_EQ(reach.Has(node), node < 10) << node;
}

TEST(GraphReach, AttachedNodesCutOffNobodyAlsoWhereAllIsFull) {
  GraphLevel level = Rings(8, 10);
  GraphReach reach(level, 0);
  for (std::uint32_t node = 0; node < 80; ++node) {
    for (std::uint32_t from = 0; from < 80 && !reach.Has(node); ++from) {
      if (reach.Has(from)) reach.Attach(from, node);
    }
    EXPECT_TRUE(reach.Has(node)) << node;
  }
  const GraphReach again(level, 0);
  for (std::uint32_t node = 0; node < 80; ++node) EXPECT_TRUE(again.Has(node)) << node;
}

TEST(GraphReach, ANodeWhoseLinksAllLeadToItsOwnTakesNoMore) {
  GraphLevel level(kDegree + 2, kDegree, {});
  for (std::uint32_t i = 0; i < kDegree; ++i) level.SetOne(0, i, i + 1);
  GraphReach reach(level, 0);
  EXPECT_FALSE(reach.Attach(0, kDegree + 1));
  EXPECT_TRUE(reach.Attach(1, kDegree + 1));
}

TEST(GraphReach, WhatHasNoRoomPassesOnToWhatIsBelowIt) {
  constexpr std::uint32_t kNodes = 3000;
  GraphLevel level(kNodes, kDegree, {});
  GraphReach reach(level, 0);
  for (std::uint32_t node = 1; node < kNodes; ++node) reach.AttachBelow(0, node);
  const GraphReach again(level, 0);
  for (std::uint32_t node = 0; node < kNodes; ++node) EXPECT_TRUE(again.Has(node)) << node;
}

}  // namespace
}  // namespace samovar
