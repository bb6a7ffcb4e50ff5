#pragma once
// NewerEnsemble: the attributes of a TreeEnsemble (ai.onnx.ml 5), and its trees in the older form.
//
// How      The newer operator keeps branches and leaves in columns of their own and says where each
//          tree begins; AsOlder walks each tree and lists its nodes as the older operators do, as
//          ONNX Runtime does when it loads one.
// Errors   kUnsupported for what Forest does not take anyway, and for branches that meet.
// Threads  A plain value.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "models/node_attribute.h"
#include "models/tree_ensemble.h"

namespace samovar {

class NewerEnsemble {
 public:
  Result<void> Take(const NodeAttribute& attribute);
  Result<TreeEnsemble> AsOlder() const;

 private:
  Result<void> CheckColumns() const;
  Result<void> Unfold(std::int64_t tree, std::vector<bool>& seen, TreeEnsemble& out) const;
  Result<void> AddBranch(std::int64_t at, std::vector<bool>& seen, TreeEnsemble& out) const;
  Result<void> AddLeaf(std::int64_t at, TreeEnsemble& out) const;
  std::vector<std::int64_t>* IntColumn(std::string_view name);

  // By branch.
  std::vector<std::int64_t> features_, true_ids_, true_leafs_, false_ids_, false_leafs_, missing_;
  std::vector<float> limits_;
  std::vector<std::uint8_t> modes_;
  // By leaf.
  std::vector<std::int64_t> leaf_targets_;
  std::vector<float> leaf_values_;

  std::vector<std::int64_t> roots_;
  std::int64_t targets_ = 0;
  bool average_ = false;
};

}  // namespace samovar
