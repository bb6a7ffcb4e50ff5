#include "models/forest.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

namespace samovar {
namespace {

constexpr std::size_t kLanes = 16;              // walks side by side
constexpr std::size_t kBlock = 64;              // rows that go through all trees together
constexpr std::size_t kBlockFloats = 16 << 10;  // of their rows, which share the cache with a tree
constexpr std::uint32_t kCheckEvery = 4;

template <bool kMissing, class Node>
[[gnu::always_inline]] inline const Node* Next(const Node* at, const float* x) {
  const std::uint32_t feature = at->feature;
  const float value = x[kMissing ? feature & (Node::kMissing - 1) : feature];
  std::size_t right = value <= at->limit ? 1 : 0;
  if constexpr (kMissing) {
    right |= (feature & Node::kMissing) != 0 && value != value ? 1 : 0;
  }
  return at + at->step + right;
}

template <class Node>
using Walks = std::array<const Node*, kLanes>;

// All walks to their leaves, down trees of so many levels.
template <bool kMissing, class Node>
[[gnu::always_inline]] inline void Descend(Walks<Node>& at, const float* const* x,
                                           std::uint32_t mean_depth, std::uint32_t depth) {
  const auto level = [&] {
    for (std::size_t i = 0; i < kLanes; ++i) at[i] = Next<kMissing>(at[i], x[i]);
  };
  std::uint32_t done = 0;
  for (; done < mean_depth; ++done) level();
  while (done < depth) {
    std::uint32_t going = 0;
    for (std::size_t i = 0; i < kLanes; ++i) going |= at[i]->step;
    if (going == 0) return;
    const std::uint32_t until = std::min(depth, done + kCheckEvery);
    for (; done < until; ++done) level();
  }
}

}  // namespace

template <class Node>
struct Forest::View {
  const Forest& forest;
  const Node* nodes;

  void Add(const Node* leaf, float* sums) const {
    if (forest.targets_ == 1) {
      *sums += leaf->limit;
      return;
    }
    const auto number = std::bit_cast<std::uint32_t>(leaf->limit);
    for (std::uint32_t i = forest.first_[number]; i < forest.first_[number + 1]; ++i) {
      sums[forest.weights_[i].target] += forest.weights_[i].value;
    }
  }

  // So many trees side by side, each for one row after the other; REQUIRES: fewer rows than lanes.
  template <bool kMissing>
  void FewRows(const float* x, std::size_t rows, float* sums) const {
    const std::vector<Tree>& trees = forest.trees_;
    for (std::size_t first = 0; first < trees.size(); first += kLanes) {
      const std::size_t count = std::min(kLanes, trees.size() - first);
      Walks<Node> roots;
      std::uint32_t mean_depth = trees[first].mean_depth;
      std::uint32_t depth = 0;
      for (std::size_t i = 0; i < kLanes; ++i) {
        const Tree& tree = trees[first + std::min(i, count - 1)];
        roots[i] = nodes + tree.root;
        mean_depth = std::min(mean_depth, tree.mean_depth);
        depth = std::max(depth, tree.depth);
      }
      for (std::size_t row = 0; row < rows; ++row) {
        std::array<const float*, kLanes> same;
        same.fill(x + row * Padded());
        Walks<Node> at = roots;
        Descend<kMissing>(at, same.data(), mean_depth, depth);
        for (std::size_t i = 0; i < count; ++i) Add(at[i], sums + row * forest.targets_);
      }
    }
  }

  // So many rows side by side, down one tree after the other; REQUIRES: rows for all lanes.
  template <bool kMissing>
  void ManyRows(const float* x, std::size_t rows, float* sums) const {
    std::array<const float*, kBlock> row;
    for (std::size_t i = 0; i < rows; ++i) row[i] = x + i * Padded();
    for (const Tree& tree : forest.trees_) {
      for (std::size_t first = 0; first < rows; first += kLanes) {
        Walks<Node> at;
        at.fill(nodes + tree.root);
        Descend<kMissing>(at, &row[first], tree.mean_depth, tree.depth);
        for (std::size_t i = 0; i < kLanes; ++i) Add(at[i], sums + (first + i) * forest.targets_);
      }
    }
  }

  // A row and the NaN behind it.
  std::size_t Padded() const { return forest.width_ + 1; }

  template <bool kMissing>
  void All(const float* x, std::size_t rows, std::size_t stride, float* sums) const {
    const std::size_t block = std::clamp(kBlockFloats / Padded() / kLanes * kLanes, kLanes, kBlock);
    std::vector<float> own(std::min(rows, block) * Padded());
    for (std::size_t first = 0; first < rows; first += block) {
      const std::size_t count = std::min(block, rows - first);
      for (std::size_t i = 0; i < count; ++i) {
        float* to = own.data() + i * Padded();
        std::copy_n(x + (first + i) * stride, forest.width_, to);
        to[forest.width_] = std::numeric_limits<float>::quiet_NaN();
      }
      float* to = sums + first * forest.targets_;
      const std::size_t many = count / kLanes * kLanes;
      ManyRows<kMissing>(own.data(), many, to);
      FewRows<kMissing>(own.data() + many * Padded(), count - many, to + many * forest.targets_);
    }
  }
};

template <class Node>
void Forest::Sum(const std::vector<Node>& nodes, const float* x, std::size_t rows,
                 std::size_t stride, float* sums) const {
  std::fill_n(sums, rows * targets_, 0.0f);
  const View<Node> view{*this, nodes.data()};
  missing_ ? view.template All<true>(x, rows, stride, sums)
           : view.template All<false>(x, rows, stride, sums);
}

void Forest::Predict(const float* x, std::size_t rows, std::size_t stride, float* out) const {
  std::visit([&](const auto& nodes) { Sum(nodes, x, rows, stride, out); }, nodes_);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < targets_; ++i) {
      float& score = out[row * targets_ + i];
      if (average_) score /= static_cast<float>(trees_.size());
      if (!base_values_.empty()) score += base_values_[i];
    }
  }
}

void Forest::Provoke(std::mt19937& random, float* row) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto provoke = [&](const auto& nodes) {
    using Node = std::decay_t<decltype(nodes.front())>;
    for (std::size_t i = 0; i < 8 * width_; ++i) {
      const Node& node = nodes[random() % nodes.size()];
      if (node.step == 0) continue;
      float& value = row[missing_ ? node.feature & (Node::kMissing - 1) : node.feature];
      value = random() % 2 == 0 ? node.limit : std::nextafter(node.limit, kInfinity);
    }
  };
  std::visit(provoke, nodes_);
}

}  // namespace samovar
