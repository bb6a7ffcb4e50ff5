#include "collections/graph_build.h"

#include <unistd.h>

#include <thread>

#include "base/log.h"
#include "collections/graph_advice.h"
#include "collections/graph_file.h"
#include "collections/graph_levels.h"
#include "collections/graph_reach.h"
#include "collections/graph_trial.h"
#include "collections/row_codes.h"
#include "os/priority.h"

namespace samovar {
namespace {

using layout::kNoLink;

constexpr std::size_t kChosen = 16;      // links that a new node looks for in a level
constexpr std::size_t kWeighed = 100;    // of what it met, so many are weighed for these
constexpr std::uint32_t kScattered = 4;  // one of so many rows is inserted in no order
constexpr std::size_t kPart = 64;        // nodes that a thread takes at once

// A row that others are compared with.
struct BuildQuery {
  explicit BuildQuery(const Schema& schema) : code(schema), vector(schema) {}
  CodeQuery code;
  QueryVector vector;  // where there are no codes
};

// What one thread works with.
struct Hand {
  explicit Hand(const Schema& schema) : row(schema), other(schema) {}
  BuildQuery row;
  BuildQuery other;
  WalkScratch scratch;
  std::vector<RankedNode> found;
  std::vector<RankedNode> chosen;
  std::vector<std::uint32_t> rows;
  std::vector<float> ranks;
  std::vector<float> nearest;
};

class Builder {
 public:
  Builder(const Segment& segment, const Schema& schema, std::uint64_t rows,
          const GraphOptions& options)
      : segment_(segment),
        schema_(schema),
        rows_(rows),
        options_(options),
        codes_(segment, schema, rows) {
    std::vector<std::uint32_t> all;
    levels_.push_back(std::make_unique<GraphLevel>(rows, layout::kLinks, all));
    for (std::uint64_t row = 0; row < rows; ++row) {
      if (LevelOf(row) > 0) all.push_back(static_cast<std::uint32_t>(row));
    }
    upper_ = all;
    while (!all.empty()) {
      levels_.push_back(std::make_unique<GraphLevel>(all.size(), layout::kUpperLinks, all));
      const auto next = static_cast<std::uint32_t>(levels_.size());
      std::erase_if(all, [&](std::uint32_t row) { return LevelOf(row) < next; });
    }
    entry_ = levels_.back()->RowOf(0);
  }

  void Build(const GraphSeed& seed) {
    Each(rows_, [this](Hand&, std::size_t row) { codes_.Encode(row); });
    const auto stopped = [this, turn = Turn()]() mutable {
      turn.Check();
      return options_.stopped();
    };
    GraphTrial trial(segment_, schema_, rows_);
    trial.Ask(stopped);
    if (!trial.CodesTell(codes_.Rows(), stopped)) codes_.Drop();
    if (seed.graph) Inherit(seed);
    // The roads first, from the topmost; in no order, and so in that of a hash.
    auto key = [](std::uint32_t row) {
      return std::pair(-static_cast<int>(LevelOf(row)), row * 0x9e3779b1U);
    };
    std::ranges::sort(upper_, [&](auto a, auto b) { return key(a) < key(b); });
    // Where walks begin has its links first: an insertion that came before would link to it alone
    // and be cut off when it gets them.
    Hand hand(schema_);
    Insert(hand, entry_);
    Each(upper_.size(), [this](Hand& its, std::size_t i) {
      if (upper_[i] != entry_) Insert(its, upper_[i]);
    });
    if (options_.stopped()) return;
    const std::vector<std::uint32_t> order = Order();
    Each(order.size(), [&](Hand& its, std::size_t i) { Insert(its, order[i]); });
    for (const auto& level : levels_) {
      if (options_.stopped()) return;
      Connect(hand, *level);
    }
    advice_ = trial.Judge([this](const CodeQuery& code, const QueryVector& query, std::size_t width,
                                 WalkScratch& scratch) { Find(Near(code, query), width, scratch); },
                          stopped);
  }
  const layout::GraphAdvice& Advice() const { return advice_; }

  Result<void> Write(Disk& disk, const std::string& path) const {
    return WriteGraph(disk, path, {segment_.Name().number, codes_, levels_, advice_},
                      options_.stopped);
  }

 private:
  ComparedRows Near(const CodeQuery& code, const QueryVector& query) const {
    if (!codes_.Dropped()) return {code, codes_.Rows()};
    return {query, segment_.Vectors(), segment_.Facts()};
  }
  ComparedRows Near(const BuildQuery& query) const { return Near(query.code, query.vector); }
  void Become(BuildQuery& query, std::uint32_t row) const {
    if (codes_.Dropped()) {
      query.vector.Become(segment_.Vector(row).data(), segment_.Facts()[row]);
    } else {
      query.code.Become(codes_.Rows(), row);
    }
  }

  // `work` for each number below `count`, by all threads.
  template <class Work>
  void Each(std::size_t count, const Work& work) {
    std::atomic<std::size_t> next = 0;
    auto run = [&] {
      Hand hand(schema_);
      Turn turn;
      while (true) {
        const std::size_t from = next.fetch_add(kPart);
        if (from >= count) return;
        for (std::size_t i = from; i < std::min(count, from + kPart); ++i) {
          turn.Check();
          if (options_.stopped()) return;
          work(hand, i);
        }
      }
    };
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < options_.threads && count > kPart; ++i) others.emplace_back(run);
    run();
  }

  // Of `candidates`, the nearest first, those to link with: none that is nearer to one chosen
  // before than to the node itself, so that links lead in all directions. Into hand.chosen.
  void Choose(Hand& hand, const GraphLevel& level, std::vector<RankedNode>& candidates,
              std::size_t most) const {
    hand.chosen.clear();
    hand.nearest.assign(candidates.size(), -std::numeric_limits<float>::infinity());
    hand.rows.resize(candidates.size());
    hand.ranks.resize(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      hand.rows[i] = level.RowOf(candidates[i].node);
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (hand.nearest[i] > candidates[i].rank) continue;
      hand.chosen.push_back(candidates[i]);
      if (hand.chosen.size() == most) return;
      const std::size_t left = candidates.size() - i - 1;
      Become(hand.other, hand.rows[i]);
      Near(hand.other).Rank(hand.rows.data() + i + 1, left, hand.ranks.data());
      for (std::size_t j = 0; j < left; ++j) {
        hand.nearest[i + 1 + j] = std::max(hand.nearest[i + 1 + j], hand.ranks[j]);
      }
    }
  }

  // A link from `node` to `fresh`, in place of another where it has no room.
  void LinkBack(Hand& hand, GraphLevel& level, std::uint32_t node, std::uint32_t fresh) {
    std::uint32_t links[layout::kLinks];
    std::lock_guard lock(level.Lock(node));
    const std::size_t places = level.Links(node, links);
    std::vector<RankedNode>& all = hand.found;
    all.clear();
    for (std::size_t i = 0; i < places && links[i] != kNoLink; ++i) {
      if (links[i] == fresh) return;
      all.push_back({0, links[i]});
    }
    all.push_back({0, fresh});
    if (all.size() <= places) return level.Set(node, all);
    Become(hand.row, level.RowOf(node));
    RankAll(hand, level, all);
    std::ranges::sort(all, kNearerFirst);
    Choose(hand, level, all, places);
    level.Set(node, hand.chosen);
  }

  // By hand.row.
  void RankAll(Hand& hand, const GraphLevel& level, std::vector<RankedNode>& nodes) const {
    hand.rows.clear();
    for (const RankedNode& each : nodes) hand.rows.push_back(level.RowOf(each.node));
    hand.ranks.resize(nodes.size());
    const ComparedRows near = Near(hand.row);
    for (const std::uint32_t row : hand.rows) near.Ahead(row);
    near.Rank(hand.rows.data(), nodes.size(), hand.ranks.data());
    for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i].rank = hand.ranks[i];
  }

  std::vector<std::uint32_t> Order() const;
  void Find(const ComparedRows& near, std::size_t width, WalkScratch& scratch) const;
  void Insert(Hand& hand, std::uint32_t row);
  void Connect(Hand& hand, GraphLevel& level);
  void Inherit(const GraphSeed& seed);
  void Repair(Hand& hand, const GraphSeed& seed, std::uint32_t old);

  const Segment& segment_;
  const Schema& schema_;
  const std::uint64_t rows_;
  const GraphOptions& options_;
  BuiltCodes codes_;
  std::vector<std::unique_ptr<GraphLevel>> levels_;
  std::vector<std::uint32_t> upper_;     // rows that stand above level 0
  std::uint32_t entry_ = 0;              // the row that every walk begins at
  std::vector<std::uint8_t> inherited_;  // rows whose links in level 0 are there already
  std::uint32_t root_ = kNoLink;         // one of them
  layout::GraphAdvice advice_{};
};

// The rows of level 0 alone: some in no order, so that links lead between clusters; the others as
// they are stored, which costs less.
std::vector<std::uint32_t> Builder::Order() const {
  std::vector<std::uint32_t> order;
  for (const bool first : {true, false}) {
    for (std::uint32_t row = 0; row < rows_; ++row) {
      const bool early = (row * 0x85ebca6bU >> 16) % kScattered == 0;
      if (LevelOf(row) == 0 && row != entry_ && early == first) order.push_back(row);
    }
    if (first) std::ranges::sort(order, {}, [](std::uint32_t row) { return row * 0x9e3779b1U; });
  }
  return order;
}

// As Graph::Search.
void Builder::Find(const ComparedRows& near, std::size_t width, WalkScratch& scratch) const {
  const KeepThose all{[](std::uint32_t) { return true; }};
  std::uint32_t at = 0;
  for (std::size_t l = levels_.size(); l-- > 0;) {
    const GraphLevel& level = *levels_[l];
    scratch.Begin();
    scratch.Start(at, near.One(level.RowOf(at)));
    Walk(level, near, l > 0 ? 1 : width, ~std::size_t{0}, scratch, all);
    if (l > 0) at = levels_[l - 1]->NodeOf(level.RowOf(scratch.best.front().node));
  }
}

void Builder::Insert(Hand& hand, std::uint32_t row) {
  const std::uint32_t own = LevelOf(row);
  const std::uint32_t top = static_cast<std::uint32_t>(levels_.size()) - 1;
  const bool inherited = !inherited_.empty() && inherited_[row] != 0;
  if (inherited && own == 0) return;
  Become(hand.row, row);
  std::vector<std::vector<RankedNode>> chosen(own + 1);
  std::uint32_t at = 0;
  auto& scratch = hand.scratch;
  for (std::uint32_t l = top + 1; l-- > 0;) {
    const GraphLevel& level = *levels_[l];
    const std::uint32_t self = l <= own ? level.NodeOf(row) : kNoLink;
    scratch.Begin();
    scratch.Start(at, Near(hand.row).One(level.RowOf(at)), at != self);
    if (l == 0 && row == entry_ && root_ != kNoLink) {
      scratch.Start(root_, Near(hand.row).One(root_));  // the first to come joins what is there
    }
    const bool links = l <= own && !(l == 0 && inherited);
    Walk(level, Near(hand.row), links ? options_.width : 1, ~std::size_t{0}, scratch,
         KeepThose{[self](std::uint32_t node) { return node != self; }});
    std::vector<RankedNode> found = scratch.best;
    std::ranges::sort(found, kNearerFirst);
    if (links) {
      if (found.size() > kWeighed) found.resize(kWeighed);
      Choose(hand, level, found, kChosen);
      chosen[l] = hand.chosen;
    }
    if (l > 0) {
      const std::uint32_t next = found.empty() ? at : found.front().node;
      at = levels_[l - 1]->NodeOf(level.RowOf(next));
    }
  }
  // From below, so that whoever meets it above finds a way on.
  for (std::uint32_t l = 0; l <= own; ++l) {
    if (l == 0 && inherited) continue;
    GraphLevel& level = *levels_[l];
    const std::uint32_t self = level.NodeOf(row);
    {
      std::lock_guard lock(level.Lock(self));
      level.Set(self, chosen[l]);
    }
    for (const RankedNode& other : chosen[l]) LinkBack(hand, level, other.node, self);
  }
}

// A way from the entry to every node.
void Builder::Connect(Hand& hand, GraphLevel& level) {
  const std::uint32_t root = level.NodeOf(entry_);
  GraphReach reach(level, root);
  auto attach = [&](std::uint32_t node) {
    Become(hand.row, level.RowOf(node));
    hand.scratch.Begin();
    hand.scratch.Start(root, Near(hand.row).One(entry_));
    Walk(level, Near(hand.row), options_.width, ~std::size_t{0}, hand.scratch,
         KeepThose{[](std::uint32_t) { return true; }});
    std::ranges::sort(hand.scratch.best, kNearerFirst);
    for (const RankedNode& near : hand.scratch.best) {
      if (reach.Attach(near.node, node)) return;
    }
    reach.AttachBelow(hand.scratch.best.front().node, node);
  };
  for (std::uint32_t node = 0; node < level.Count() && !options_.stopped(); ++node) {
    if (!reach.Has(node)) attach(node);
  }
}

void Builder::Inherit(const GraphSeed& seed) {
  inherited_.assign(rows_, 0);
  Each(seed.graph->Rows(), [&](Hand& hand, std::size_t old) {
    const std::uint32_t row = (*seed.moved)[old];
    if (row == kNoLink) return;
    inherited_[row] = 1;
    Repair(hand, seed, static_cast<std::uint32_t>(old));
  });
  const auto first = std::ranges::find(inherited_, 1);
  if (first != inherited_.end()) root_ = static_cast<std::uint32_t>(first - inherited_.begin());
}

void Builder::Repair(Hand& hand, const GraphSeed& seed, std::uint32_t old) {
  const std::uint32_t row = (*seed.moved)[old];
  std::vector<RankedNode>& all = hand.found;
  all.clear();
  hand.scratch.Begin();
  hand.scratch.visited.Add(row);
  auto add = [&](std::uint32_t link) {
    const std::uint32_t now = (*seed.moved)[link];
    if (now != kNoLink && hand.scratch.visited.Add(now)) all.push_back({0, now});
    return now != kNoLink;
  };
  bool whole = true;
  const std::uint32_t* links = seed.graph->Links(old);
  for (std::size_t i = 0; i < layout::kLinks && links[i] != kNoLink; ++i) {
    if (add(links[i])) continue;
    whole = false;
    const std::uint32_t* its = seed.graph->Links(links[i]);
    for (std::size_t j = 0; j < layout::kLinks && its[j] != kNoLink; ++j) add(its[j]);
  }
  GraphLevel& lowest = *levels_[0];
  if (whole) return lowest.Set(row, all);
  Become(hand.row, row);
  RankAll(hand, lowest, all);
  std::ranges::sort(all, kNearerFirst);
  if (all.size() > 2 * kWeighed) all.resize(2 * kWeighed);
  Choose(hand, lowest, all, layout::kLinks);
  lowest.Set(row, hand.chosen);
}

}  // namespace

Result<void> BuildGraph(Disk& disk, const std::string& folder, const Segment& segment,
                        const Schema& schema, std::uint64_t rows, const GraphSeed& seed,
                        const GraphOptions& options) {
  TRY(disk.CheckRoom(folder, LeastGraphBytes(schema, rows)));
  Builder builder(segment, schema, rows, options);
  builder.Build(seed);
  if (options.stopped()) return Stopping();
  const std::string path = GraphPath(folder, segment.Name().number);
  const layout::GraphAdvice& advice = builder.Advice();
  if (advice.steps > 0 && advice.found < Expected(schema, rows)) {
    LogWarn("{}: {} candidates find {:.3f} of the ten nearest: where they do not, all are compared",
            path, advice.width[advice.steps - 1], advice.found);
  }
  const std::string part = path + ".part";
  auto done = builder.Write(disk, part);
  if (done) done = disk.Rename(part, path);
  if (!done) ::unlink(part.c_str());
  return done;
}

}  // namespace samovar
