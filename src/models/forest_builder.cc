// Forest::Of: from ONNX's columns to nodes that lie as they are walked.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "models/forest.h"

namespace samovar {
namespace {

using Mode = TreeEnsemble::Mode;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kMostNodes = std::numeric_limits<std::int32_t>::max();

std::unexpected<Error> No(std::string why) { return Fail(Code::kUnsupported, std::move(why)); }

// The largest float below: what is under `limit` is at most this. NaN where nothing is.
float Below(float limit) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return limit == -kInfinity ? kNaN : std::nextafter(limit, -kInfinity);
}

}  // namespace

class Forest::Builder {
 public:
  explicit Builder(const TreeEnsemble& ensemble) : in_(ensemble) {}

  Result<Forest> Build() {
    TRY(CheckColumns());
    TRY(FindTrees());
    TRY(SortLeaves());
    for (const auto& [id, range] : ranges_) TRY(CheckNodes(range));
    nodes_.reserve(in_.tree_ids.size());
    for (std::size_t first : roots_) TRY(Lay(ranges_.at(in_.tree_ids[first])));
    if (nodes_.size() != in_.tree_ids.size()) return No("nodes that no tree leads to");
    Finish();
    return std::move(out_);
  }

 private:
  struct Range {
    std::size_t first = 0;
    std::size_t last = 0;  // one past
    std::vector<std::uint32_t> by_id;
  };
  static constexpr std::uint32_t kNone = ~0u;

  Result<void> CheckColumns() const {
    const std::size_t nodes = in_.tree_ids.size();
    const std::size_t leaves = in_.leaf_values.size();
    const bool even = in_.node_ids.size() == nodes && in_.features.size() == nodes &&
                      in_.limits.size() == nodes && in_.modes.size() == nodes &&
                      in_.true_ids.size() == nodes && in_.false_ids.size() == nodes &&
                      (in_.missing_is_true.empty() || in_.missing_is_true.size() == nodes) &&
                      in_.leaf_trees.size() == leaves && in_.leaf_nodes.size() == leaves &&
                      in_.leaf_targets.size() == leaves;
    if (!even) return No("columns of different lengths");
    if (nodes == 0 || nodes > kMostNodes || leaves > kMostNodes) return No("so many nodes");
    if (in_.targets < 1 || in_.targets > 1 << 16) return No("so many targets");
    return {};
  }

  Result<void> FindTrees() {
    const std::size_t nodes = in_.tree_ids.size();
    for (std::size_t first = 0, last = 0; first < nodes; first = last) {
      const std::int64_t id = in_.tree_ids[first];
      for (last = first; last < nodes && in_.tree_ids[last] == id; ++last) continue;
      Range range{first, last, {}};
      TRY(NumberNodes(range));
      if (!ranges_.emplace(id, std::move(range)).second) return No("a tree in two places");
      roots_.push_back(first);
    }
    return {};
  }

  Result<void> NumberNodes(Range& range) const {
    const std::size_t most = 2 * (range.last - range.first) + 64;
    for (std::size_t i = range.first; i < range.last; ++i) {
      const std::int64_t id = in_.node_ids[i];
      if (id < 0 || static_cast<std::size_t>(id) >= most) return No("node numbers with gaps");
      const auto at = static_cast<std::size_t>(id);
      if (range.by_id.size() <= at) range.by_id.resize(at + 1, kNone);
      if (range.by_id[at] != kNone) return No("two nodes of one number");
      range.by_id[at] = static_cast<std::uint32_t>(i);
    }
    return {};
  }

  static std::uint32_t Find(const Range& range, std::int64_t id) {
    const bool there = id >= 0 && static_cast<std::size_t>(id) < range.by_id.size();
    return there ? range.by_id[static_cast<std::size_t>(id)] : kNone;
  }

  // leaf_order_[leaf_first_[node]..leaf_first_[node + 1]): the entries of a node, in their order.
  Result<void> SortLeaves() {
    std::vector<std::uint32_t> owner(in_.leaf_values.size());
    leaf_first_.assign(in_.tree_ids.size() + 1, 0);
    const Range* range = nullptr;
    for (std::size_t i = 0; i < owner.size(); ++i) {
      if (range == nullptr || in_.tree_ids[range->first] != in_.leaf_trees[i]) {
        const auto found = ranges_.find(in_.leaf_trees[i]);
        if (found == ranges_.end()) return No("a leaf of no tree");
        range = &found->second;
      }
      owner[i] = Find(*range, in_.leaf_nodes[i]);
      if (owner[i] == kNone) return No("a leaf of no node");
      if (in_.leaf_targets[i] < 0 || in_.leaf_targets[i] >= in_.targets) return No("such a target");
      ++leaf_first_[owner[i] + 1];
    }
    std::partial_sum(leaf_first_.begin(), leaf_first_.end(), leaf_first_.begin());
    leaf_order_.resize(owner.size());
    std::vector<std::uint32_t> next = leaf_first_;
    for (std::size_t i = 0; i < owner.size(); ++i) {
      leaf_order_[next[owner[i]]++] = static_cast<std::uint32_t>(i);
    }
    return {};
  }

  Result<void> CheckNodes(const Range& range) {
    for (std::size_t i = range.first; i < range.last; ++i) {
      const std::int64_t feature = in_.features[i];
      if (feature >= 1 << 30) return No("so many features");
      width_ = std::max(width_, feature + 1);
      if (in_.modes[i] == Mode::kLeaf) {
        const bool one = in_.targets > 1 || leaf_first_[i + 1] - leaf_first_[i] == 1;
        if (!one) return No("a leaf of no value, or of several for one target");
        continue;
      }
      if (in_.modes[i] == Mode::kOther) return No("comparisons other than <=, <, > and >=");
      if (feature < 0) return No("a negative feature");
      if (std::isnan(in_.limits[i])) return No("a limit that is no number");
    }
    return {};
  }

  // What the node asks, without its way; and whether true and false change places.
  std::pair<WideNode, bool> Question(std::size_t i) const {
    if (in_.modes[i] == Mode::kLeaf) return {{0, static_cast<std::uint32_t>(width_), 0}, false};
    bool missing = !in_.missing_is_true.empty() && in_.missing_is_true[i] == 1;
    const bool strict = in_.modes[i] == Mode::kLess || in_.modes[i] == Mode::kGreaterOrEqual;
    const bool swap = in_.modes[i] == Mode::kGreater || in_.modes[i] == Mode::kGreaterOrEqual;
    if (swap) missing = !missing;  // NaN is not above either
    const auto feature = static_cast<std::uint32_t>(in_.features[i]);
    return {{strict ? Below(in_.limits[i]) : in_.limits[i],
             missing ? feature | WideNode::kMissing : feature, 0},
            swap};
  }

  // One tree, level after level, children side by side.
  Result<void> Lay(const Range& range) {
    const std::size_t begin = nodes_.size();
    std::vector<std::uint32_t> source{static_cast<std::uint32_t>(range.first)};
    std::vector<std::uint32_t> level{0};
    std::uint64_t depths = 0;
    std::uint64_t leaves = 0;
    std::vector<std::uint64_t> with(static_cast<std::size_t>(in_.targets), 0);
    for (std::size_t at = 0; at < source.size(); ++at) {
      if (source.size() > range.last - range.first) return No("a node with two parents");
      const std::size_t i = source[at];
      auto [node, swap] = Question(i);
      if (in_.modes[i] == Mode::kLeaf) {
        ++leaves;
        depths += level[at];
        node.limit = KeepLeaf(i, with);
      } else {
        std::uint32_t children[] = {Find(range, in_.false_ids[i]), Find(range, in_.true_ids[i])};
        if (children[0] == kNone || children[1] == kNone) return No("a node without a child");
        if (swap) std::swap(children[0], children[1]);
        node.step = static_cast<std::uint32_t>(source.size() - at);
        source.insert(source.end(), std::begin(children), std::end(children));
        level.insert(level.end(), 2, level[at] + 1);
      }
      nodes_.push_back(node);
    }
    out_.presence_.resize(with.size(), Presence::kNever);
    for (std::size_t target = 0; target < with.size(); ++target) {
      Presence& known = out_.presence_[target];
      if (with[target] == leaves) known = Presence::kAlways;
      if (with[target] > 0 && known == Presence::kNever) known = Presence::kSometimes;
    }
    out_.trees_.push_back({static_cast<std::uint32_t>(begin),
                           static_cast<std::uint32_t>(depths / leaves), level.back()});
    return {};
  }

  // What stands for the limit of a leaf. Counts it in `with` for the targets that it knows.
  float KeepLeaf(std::size_t i, std::vector<std::uint64_t>& with) {
    const std::span entries(leaf_order_.data() + leaf_first_[i],
                            leaf_first_[i + 1] - leaf_first_[i]);
    std::set<std::int64_t> known;
    for (std::uint32_t entry : entries) known.insert(in_.leaf_targets[entry]);
    for (std::int64_t target : known) ++with[static_cast<std::size_t>(target)];
    if (in_.targets == 1) return in_.leaf_values[entries.front()];
    const auto number = static_cast<std::uint32_t>(out_.first_.size());
    out_.first_.push_back(static_cast<std::uint32_t>(out_.weights_.size()));
    for (std::uint32_t entry : entries) {
      out_.weights_.push_back(
          {static_cast<std::uint32_t>(in_.leaf_targets[entry]), in_.leaf_values[entry]});
    }
    return std::bit_cast<float>(number);
  }

  void Finish() {
    out_.first_.push_back(static_cast<std::uint32_t>(out_.weights_.size()));
    out_.targets_ = static_cast<std::size_t>(in_.targets);
    out_.width_ = static_cast<std::size_t>(width_);
    out_.average_ = in_.average;
    if (in_.base_values.size() == out_.targets_) {
      out_.base_values_ = in_.base_values;
    } else if (out_.targets_ == 1) {
      out_.base_values_ = {0};  // is added all the same, and makes 0 of -0
    }
    bool narrow = width_ < NarrowNode::kMissing;  // and the leaves' own feature
    for (const WideNode& node : nodes_) {
      out_.missing_ |= (node.feature & WideNode::kMissing) != 0;
      narrow &= node.step <= std::numeric_limits<std::uint16_t>::max();
    }
    if (!narrow) {
      out_.nodes_ = std::move(nodes_);
      return;
    }
    std::vector<NarrowNode> small;
    small.reserve(nodes_.size());
    for (const WideNode& node : nodes_) {
      const bool missing = (node.feature & WideNode::kMissing) != 0;
      const std::uint32_t feature = node.feature & (WideNode::kMissing - 1);
      small.push_back(
          {node.limit,
           static_cast<std::uint16_t>(missing ? feature | NarrowNode::kMissing : feature),
           static_cast<std::uint16_t>(node.step)});
    }
    out_.nodes_ = std::move(small);
  }

  const TreeEnsemble& in_;
  Forest out_;
  std::map<std::int64_t, Range> ranges_;
  std::vector<std::size_t> roots_;  // where each tree begins, in their order
  std::vector<std::uint32_t> leaf_first_;
  std::vector<std::uint32_t> leaf_order_;
  std::vector<WideNode> nodes_;
  std::int64_t width_ = 1;
};

Result<Forest> Forest::Of(const TreeEnsemble& ensemble) { return Builder(ensemble).Build(); }

}  // namespace samovar
