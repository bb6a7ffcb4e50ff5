#include "models/forest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace samovar {
namespace {

using Mode = TreeEnsemble::Mode;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Plan {
  std::size_t trees = 11;
  int depth = 6;
  std::int64_t features = 5;
  std::int64_t targets = 1;
  std::vector<Mode> modes{Mode::kLessOrEqual};
  bool missing = false;
  bool average = false;
  std::vector<float> base_values = {};
};

class Grower {
 public:
  Grower(const Plan& plan, std::uint32_t seed) : plan_(plan), random_(seed) {}

  TreeEnsemble Grow() {
    out_.targets = plan_.targets;
    out_.average = plan_.average;
    out_.base_values = plan_.base_values;
    for (std::size_t tree = 0; tree < plan_.trees; ++tree) {
      tree_ = static_cast<std::int64_t>(tree);
      next_ = 0;
      Node(plan_.depth);
    }
    if (!plan_.missing) out_.missing_is_true.clear();
    return std::move(out_);
  }

 private:
  std::int64_t Node(int depth) {
    const std::int64_t id = next_++;
    const std::size_t at = out_.tree_ids.size();
    const bool leaf = depth == 0 || (depth < plan_.depth && random_() % 4 == 0);
    out_.tree_ids.push_back(tree_);
    out_.node_ids.push_back(id);
    out_.features.push_back(
        leaf ? 0
             : static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(plan_.features)));
    out_.modes.push_back(leaf ? Mode::kLeaf : plan_.modes[random_() % plan_.modes.size()]);
    out_.limits.push_back(leaf ? 0 : static_cast<float>(random_() % 7) - 3);
    out_.missing_is_true.push_back(leaf ? 0 : static_cast<std::int64_t>(random_() % 2));
    out_.true_ids.push_back(0);
    out_.false_ids.push_back(0);
    if (leaf) {
      for (std::int64_t target = 0; target < plan_.targets; ++target) {
        if (plan_.targets > 1 && random_() % 3 == 0) continue;
        out_.leaf_trees.push_back(tree_);
        out_.leaf_nodes.push_back(id);
        out_.leaf_targets.push_back(target);
        out_.leaf_values.push_back(std::normal_distribution<float>()(random_));
      }
    } else {
      out_.true_ids[at] = Node(depth - 1);
      out_.false_ids[at] = Node(depth - 1);
    }
    return id;
  }

  const Plan& plan_;
  std::mt19937 random_;
  TreeEnsemble out_;
  std::int64_t tree_ = 0;
  std::int64_t next_ = 0;
};

// As the operator's specification says it, one node after another.
bool IsTrue(const TreeEnsemble& e, std::size_t i, float x) {
  if (std::isnan(x)) return !e.missing_is_true.empty() && e.missing_is_true[i] == 1;
  switch (e.modes[i]) {
    case Mode::kLessOrEqual:
      return x <= e.limits[i];
    case Mode::kLess:
      return x < e.limits[i];
    case Mode::kGreater:
      return x > e.limits[i];
    default:
      return x >= e.limits[i];
  }
}

std::vector<float> Walk(const TreeEnsemble& e, const float* x) {
  std::vector<float> sums(static_cast<std::size_t>(e.targets), 0.0f);
  std::size_t trees = 0;
  for (std::size_t root = 0; root < e.tree_ids.size(); ++root) {
    if (root > 0 && e.tree_ids[root] == e.tree_ids[root - 1]) continue;
    ++trees;
    std::size_t at = root;
    while (e.modes[at] != Mode::kLeaf) {
      const bool yes = IsTrue(e, at, x[e.features[at]]);
      at = root + static_cast<std::size_t>(yes ? e.true_ids[at] : e.false_ids[at]);
    }
    for (std::size_t i = 0; i < e.leaf_values.size(); ++i) {
      if (e.leaf_trees[i] != e.tree_ids[at] || e.leaf_nodes[i] != e.node_ids[at]) continue;
      sums[static_cast<std::size_t>(e.leaf_targets[i])] += e.leaf_values[i];
    }
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (e.average) sums[i] /= static_cast<float>(trees);
    if (e.base_values.size() == sums.size()) sums[i] += e.base_values[i];
  }
  return sums;
}

void ExpectTheSame(const TreeEnsemble& ensemble, std::size_t rows, std::size_t stride) {
  const auto forest = Forest::Of(ensemble);
  ASSERT_TRUE(forest) << forest.error().message;
  ASSERT_LE(forest->Width(), stride);
  std::mt19937 random(7);
  std::vector<float> x(rows * stride);
  for (float& value : x) {
    const float odd[] = {kNaN, kInfinity, -kInfinity, -0.0f, 0.0f};
    value = random() % 5 == 0 ? odd[random() % 5] : static_cast<float>(random() % 13) / 2 - 3;
  }
  std::vector<float> got(rows * forest->Targets());
  forest->Predict(x.data(), rows, stride, got.data());
  for (std::size_t row = 0; row < rows; ++row) {
    const std::vector<float> want = Walk(ensemble, x.data() + row * stride);
    ASSERT_EQ(0, std::memcmp(want.data(), got.data() + row * want.size(), want.size() * 4))
        << "row " << row << " of " << rows;
  }
}

TEST(ForestTest, AnswersAsAWalkNodeByNodeToTheLastBit) {
  const std::vector<Mode> all{Mode::kLessOrEqual, Mode::kLess, Mode::kGreater,
                              Mode::kGreaterOrEqual};
  const Plan plans[] = {
      {},
      {.trees = 1, .depth = 0},
      {.trees = 3, .depth = 14},
      {.modes = {Mode::kLess}},
      {.modes = all},
      {.modes = all, .missing = true},
      {.average = true, .base_values = {0.25f}},
      {.targets = 3},
      {.targets = 3, .modes = all, .missing = true, .average = true, .base_values = {1, 2, 3}},
      {.features = 40000},  // nodes of the larger kind
      {.features = 40000, .modes = all, .missing = true},
  };
  std::uint32_t seed = 0;
  for (const Plan& plan : plans) {
    const TreeEnsemble ensemble = Grower(plan, ++seed).Grow();
    for (std::size_t rows : {0, 1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 65, 130}) {
      SCOPED_TRACE(seed);
      ExpectTheSame(ensemble, rows, static_cast<std::size_t>(plan.features) + 2);
    }
  }
}

TEST(ForestTest, LeavesToOnnxRuntimeWhatIsOutOfTheOrdinary) {
  const TreeEnsemble good = Grower({.depth = 2}, 1).Grow();
  const auto refuses = [&](auto change) {
    TreeEnsemble bad = good;
    change(bad);
    const auto made = Forest::Of(bad);
    return !made && made.error().code == Code::kUnsupported;
  };
  EXPECT_FALSE(refuses([](TreeEnsemble&) {}));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e = {}; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.limits.pop_back(); }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.leaf_nodes.pop_back(); }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.targets = 0; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.modes[0] = Mode::kOther; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.limits[0] = kNaN; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.features[0] = -1; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.features[0] = std::int64_t{1} << 40; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.true_ids[0] = 0; })) << "a circle";
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.true_ids[0] = 99; })) << "no such child";
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.node_ids[1] = 0; })) << "a number twice";
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.node_ids[1] = std::int64_t{1} << 40; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.leaf_targets[0] = 1; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.leaf_trees[0] = -1; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.leaf_nodes[1] = e.leaf_nodes[0]; }));
  EXPECT_TRUE(refuses([](TreeEnsemble& e) { e.tree_ids.back() = e.tree_ids.front(); }));
}

}  // namespace
}  // namespace samovar
