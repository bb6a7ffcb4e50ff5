#pragma once
// TreeEnsemble: the trees of one TreeEnsembleRegressor or TreeEnsembleClassifier, as ONNX's
// attributes have them.
//
// How      Columns beside each other: one entry a node, and one entry a leaf's value for a target.
// Threads  A plain value.
// Source   The operators of ONNX's domain ai.onnx.ml.

#include <cstdint>
#include <string>
#include <vector>

namespace samovar {

struct TreeEnsemble {
  enum class Mode : std::uint8_t {
    kLeaf,
    kLessOrEqual,
    kLess,
    kGreater,
    kGreaterOrEqual,
    kOther,
  };

  // By node.
  std::vector<std::int64_t> tree_ids;
  std::vector<std::int64_t> node_ids;  // within the tree
  std::vector<std::int64_t> features;
  std::vector<float> limits;
  std::vector<Mode> modes;
  std::vector<std::int64_t> true_ids;
  std::vector<std::int64_t> false_ids;
  std::vector<std::int64_t> missing_is_true;  // empty: nowhere

  // By leaf and target.
  std::vector<std::int64_t> leaf_trees;
  std::vector<std::int64_t> leaf_nodes;
  std::vector<std::int64_t> leaf_targets;
  std::vector<float> leaf_values;

  std::int64_t targets = 0;
  std::vector<float> base_values;
  bool average = false;  // else the sum

  // Of a classifier: one label a target, of either kind, and what becomes of the sums.
  enum class Transform : std::uint8_t { kNone, kLogistic, kSoftmax, kOther };
  std::vector<std::int64_t> labels;
  std::vector<std::string> texts;
  Transform transform = Transform::kNone;
};

}  // namespace samovar
