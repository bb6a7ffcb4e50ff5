#pragma once
// Forest: a tree ensemble laid out to be walked by many rows at a time.
//
// Why      ONNX Runtime walks one row down one tree, a cache miss and a wrong guess of the branch a
//          level. Most of a prediction is that waiting; several walks side by side wait together.
// How      A node has 8 bytes (12 in a forest of very large trees): its limit, its feature, and how
//          far its children are, which lie side by side, so that a step is a comparison and an
//          addition and no branch. A leaf looks at a value behind the row, which is NaN, and so
//          leads to itself; its value takes the place of the limit. Sixteen rows go down one tree
//          together, tree after tree, so that a tree stays in the nearest cache for all rows; of
//          fewer rows each goes down sixteen trees together. The answers are those of ONNX Runtime
//          to the last bit: leaves are added as floats, in the order of the trees.
// Errors   Of: kUnsupported for what ONNX Runtime should rather do, or judge.
// Threads  Immutable.
// Source   N. Asadi et al., "Runtime Optimizations for Tree-based Machine Learning Models", IEEE
//          TKDE 2014 (VPred: predication, and several rows interleaved).

#include <cstddef>
#include <cstdint>
#include <random>
#include <variant>
#include <vector>

#include "base/error.h"
#include "models/tree_ensemble.h"

namespace samovar {

class Forest {
 public:
  static Result<Forest> Of(const TreeEnsemble& ensemble);

  std::size_t Targets() const { return targets_; }
  // How many values a row must have at least.
  std::size_t Width() const { return width_; }
  std::size_t Trees() const { return trees_.size(); }
  // Whether some leaf of every row, or no leaf at all, has a value for the target.
  enum class Presence : std::uint8_t { kNever, kAlways, kSometimes };
  Presence PresenceOf(std::size_t target) const { return presence_[target]; }

  // `rows` rows of `x`, `stride` floats apart, to Targets() floats each.
  // REQUIRES: stride >= Width().
  void Predict(const float* x, std::size_t rows, std::size_t stride, float* out) const;

  // Puts the limits of nodes picked at random, or what is next to them, into a row of Width().
  void Provoke(std::mt19937& random, float* row) const;

  struct NarrowNode {
    static constexpr std::uint32_t kMissing = 1u << 15;  // of `feature`: NaN is true, too

    float limit;  // to the true child where the value is at most this; of a leaf: see values_
    std::uint16_t feature;
    std::uint16_t step;  // to the false child, by nodes; the true one is next to it; 0: a leaf
  };
  struct WideNode {
    static constexpr std::uint32_t kMissing = 1u << 31;

    float limit;
    std::uint32_t feature;
    std::uint32_t step;
  };
  struct Tree {
    std::uint32_t root;
    std::uint32_t mean_depth;  // of its leaves
    std::uint32_t depth;
  };
  struct Weight {
    std::uint32_t target;
    float value;
  };

 private:
  class Builder;
  template <class Node>
  struct View;
  Forest() = default;
  template <class Node>
  void Sum(const std::vector<Node>& nodes, const float* x, std::size_t rows, std::size_t stride,
           float* sums) const;

  std::variant<std::vector<NarrowNode>, std::vector<WideNode>> nodes_;
  std::vector<Tree> trees_;
  // A leaf's limit is its value where there is one target; else its number, as bits.
  std::vector<std::uint32_t> first_;  // by leaf and one more, into weights_
  std::vector<Weight> weights_;
  std::vector<float> base_values_;  // one a target, or none
  std::vector<Presence> presence_;
  std::size_t targets_ = 0;
  std::size_t width_ = 0;
  bool missing_ = false;  // some node leads a NaN to its true child
  bool average_ = false;
};

}  // namespace samovar
