#include "models/newer_ensemble.h"

#include <fmt/format.h>

#include <utility>

namespace samovar {
namespace {

using Mode = TreeEnsemble::Mode;

std::unexpected<Error> No(std::string why) { return Fail(Code::kUnsupported, std::move(why)); }

// As the operator numbers them.
Mode ModeOf(std::uint8_t number) {
  constexpr Mode kModes[] = {Mode::kLessOrEqual, Mode::kLess, Mode::kGreaterOrEqual,
                             Mode::kGreater};
  return number < std::size(kModes) ? kModes[number] : Mode::kOther;
}

bool Within(std::int64_t at, std::size_t size) {
  return at >= 0 && static_cast<std::size_t>(at) < size;
}

}  // namespace

std::vector<std::int64_t>* NewerEnsemble::IntColumn(std::string_view name) {
  if (name == "nodes_featureids") return &features_;
  if (name == "nodes_truenodeids") return &true_ids_;
  if (name == "nodes_trueleafs") return &true_leafs_;
  if (name == "nodes_falsenodeids") return &false_ids_;
  if (name == "nodes_falseleafs") return &false_leafs_;
  if (name == "nodes_missing_value_tracks_true") return &missing_;
  if (name == "leaf_targetids") return &leaf_targets_;
  return name == "tree_roots" ? &roots_ : nullptr;
}

Result<void> NewerEnsemble::Take(const NodeAttribute& attribute) {
  const std::string_view name = attribute.name;
  const bool tensor = name == "nodes_splits" || name == "leaf_weights" || name == "nodes_modes";
  if (tensor && !attribute.tensor) return No(fmt::format("{} without a tensor", name));
  if (auto* ints = IntColumn(name)) {
    *ints = attribute.ints;
  } else if (name == "nodes_splits") {
    TRY(limits_, attribute.FloatTensor());
  } else if (name == "leaf_weights") {
    TRY(leaf_values_, attribute.FloatTensor());
  } else if (name == "nodes_modes") {
    TRY(modes_, attribute.ByteTensor());
  } else if (name == "n_targets") {
    targets_ = attribute.number;
  } else if (name == "aggregate_function") {
    average_ = attribute.number == 0;
    if (!average_ && attribute.number != 1) return No("an aggregate but SUM and AVERAGE");
  } else if (name == "post_transform") {
    if (attribute.number != 0) return No("a transformation after the trees");
  } else if (name != "nodes_hitrates") {  // for people, as the operator says
    return No(fmt::format("the attribute {}", name));
  }
  return {};
}

Result<void> NewerEnsemble::CheckColumns() const {
  const std::size_t nodes = features_.size();
  const bool even =
      limits_.size() == nodes && modes_.size() == nodes && true_ids_.size() == nodes &&
      true_leafs_.size() == nodes && false_ids_.size() == nodes && false_leafs_.size() == nodes &&
      (missing_.empty() || missing_.size() == nodes) && leaf_targets_.size() == leaf_values_.size();
  if (!even) return No("columns of different lengths");
  return {};
}

Result<TreeEnsemble> NewerEnsemble::AsOlder() const {
  TRY(CheckColumns());
  TreeEnsemble out;
  out.targets = targets_;
  out.average = average_;
  std::vector<bool> seen(features_.size());
  for (std::size_t tree = 0; tree < roots_.size(); ++tree) {
    TRY(Unfold(static_cast<std::int64_t>(tree), seen, out));
  }
  return out;
}

// From the root on: a node is numbered when it is listed, and its parent learns the number.
Result<void> NewerEnsemble::Unfold(std::int64_t tree, std::vector<bool>& seen,
                                   TreeEnsemble& out) const {
  struct Next {
    std::int64_t at;
    bool leaf;
    std::size_t parent;
    bool truth;
  };
  const std::size_t begin = out.tree_ids.size();
  std::vector<Next> todo{{roots_[static_cast<std::size_t>(tree)], false, begin, false}};
  while (!todo.empty()) {
    const Next next = todo.back();
    todo.pop_back();
    const std::size_t here = out.tree_ids.size();
    const auto number = static_cast<std::int64_t>(here - begin);
    if (here != begin) (next.truth ? out.true_ids : out.false_ids)[next.parent] = number;
    if (next.leaf) {
      TRY(AddLeaf(next.at, out));
      out.leaf_trees.push_back(tree);
      out.leaf_nodes.push_back(number);
    } else {
      TRY(AddBranch(next.at, seen, out));
      const auto at = static_cast<std::size_t>(next.at);
      todo.push_back({false_ids_[at], false_leafs_[at] != 0, here, false});
      todo.push_back({true_ids_[at], true_leafs_[at] != 0, here, true});
    }
    out.tree_ids.push_back(tree);
    out.node_ids.push_back(number);
    out.true_ids.push_back(0);
    out.false_ids.push_back(0);
  }
  return {};
}

Result<void> NewerEnsemble::AddBranch(std::int64_t at, std::vector<bool>& seen,
                                      TreeEnsemble& out) const {
  if (!Within(at, features_.size())) return No("a branch that is not there");
  const auto index = static_cast<std::size_t>(at);
  if (seen[index]) return No("a node with two parents");
  seen[index] = true;
  out.features.push_back(features_[index]);
  out.limits.push_back(limits_[index]);
  out.modes.push_back(ModeOf(modes_[index]));
  if (!missing_.empty()) out.missing_is_true.push_back(missing_[index]);
  return {};
}

Result<void> NewerEnsemble::AddLeaf(std::int64_t at, TreeEnsemble& out) const {
  if (!Within(at, leaf_values_.size())) return No("a leaf that is not there");
  const auto index = static_cast<std::size_t>(at);
  out.features.push_back(0);
  out.limits.push_back(0);
  out.modes.push_back(Mode::kLeaf);
  if (!missing_.empty()) out.missing_is_true.push_back(0);
  out.leaf_targets.push_back(leaf_targets_[index]);
  out.leaf_values.push_back(leaf_values_[index]);
  return {};
}

}  // namespace samovar
