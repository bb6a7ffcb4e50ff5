// Snapshot, its part that searches.

#include <algorithm>
#include <array>
#include <numeric>

#include "collections/best_rows.h"
#include "collections/graph_advice.h"
#include "collections/graph_walk.h"
#include "collections/snapshot.h"
#include "collections/vectors.h"

namespace samovar {
namespace {

constexpr std::size_t kBlock = 256;          // rows that are compared before any is looked at
constexpr std::size_t kLeastWidth = 64;      // of a walk; a graph's advice begins there
constexpr std::size_t kUsual = 10;           // hits that advice is for
constexpr std::size_t kWalkACandidate = 32;  // and one row of four that a walk may look at
constexpr std::uint64_t kSample = 256;       // rows that tell how much a filter leaves
// In cells: at least so many rows are compared, then so many times those up to the last that
// brought something new, at most one row of four.
constexpr std::uint64_t kLeastCompared = 512;
constexpr double kPatience = 1.5;
constexpr std::uint64_t kMostPart = 4;
// Without a graph, and where no wish is named: every row is compared that takes no longer in all.
// What lies between clusters is in no near cell.
constexpr std::chrono::milliseconds kComparedWhole{1};
constexpr std::size_t kMetACandidate = 14;  // rows that a walk compares for each that it keeps
constexpr std::uint64_t kFewMatches = 4;    // of kSample: then every vector is compared
constexpr std::chrono::microseconds kInVain{100};  // costs more than to begin elsewhere

// One search: through the rows that are not sealed yet, then the nearest cells, then the graphs,
// whose walks need not go where nothing better than what was found can be.
class Search {
 public:
  Search(const Snapshot& snapshot, std::span<const float> vector, const QueryVector& query,
         std::size_t k, const Filter& filter, const SearchOptions& options,
         std::chrono::nanoseconds most)
      : snapshot_(snapshot),
        vector_(vector),
        query_(query),
        filter_(filter),
        exact_(options.exact),
        advised_(options.candidates == 0),
        more_(k > kUsual ? 2 * (k - kUsual) : 0),
        usual_(std::max(k * 2, kLeastWidth)),
        width_(advised_ ? usual_ : std::max(k, options.candidates)),
        left_(most),
        best_(k) {}

  // nullopt: it would take longer than it may.
  Result<std::optional<std::vector<RankedRow>>> Done() {
    const auto& segments = snapshot_.Parts().segments;
    std::vector<std::uint32_t> in_cells;
    std::vector<std::uint32_t> in_graphs;
    for (std::uint32_t i = 0; i < segments.size(); ++i) {
      if (!exact_ && segments[i]->NearGraph()) {
        in_graphs.push_back(i);
      } else if (!exact_ && segments[i]->RowCells()) {
        in_cells.push_back(i);
      } else {
        Scan(i, 0, snapshot_.RowsOf(i));
      }
    }
    if (in_graphs.empty() && advised_ && TimeOf(in_cells) <= kComparedWhole) {
      for (const std::uint32_t i : in_cells) Scan(i, 0, snapshot_.RowsOf(i));
    } else if (!in_cells.empty()) {
      TRY(LookInCells(in_cells));
    }
    for (const std::uint32_t i : in_graphs) {
      if (!Walked(i)) CompareAll(i);
    }
    if (over_) return std::nullopt;
    if (unreadable_) return std::unexpected(*unreadable_);
    return best_.Sorted();
  }

 private:
  bool Affords(std::chrono::nanoseconds time) {
    over_ = over_ || time > left_;
    if (!over_) left_ -= time;
    return !over_;
  }
  bool Matches(RowRef row) {
    if (filter_.All()) return true;
    const auto attributes = snapshot_.Attributes(row);
    if (attributes) return filter_.Matches(*attributes);
    unreadable_ = attributes.error();
    return false;
  }

  std::chrono::nanoseconds TimeOf(std::uint64_t rows) const {
    return std::chrono::nanoseconds(rows * NanosecondsARow(snapshot_.Of()));
  }
  std::chrono::nanoseconds TimeOf(const std::vector<std::uint32_t>& segments) const {
    std::uint64_t rows = 0;
    for (const std::uint32_t i : segments) rows += snapshot_.RowsOf(i);
    return TimeOf(rows);
  }

  // Whether it found any of the best so far.
  bool Scan(std::uint32_t index, std::uint64_t from, std::uint64_t to) {
    if (!Affords(TimeOf(to - std::min(from, to)))) return false;
    const auto& segment = *snapshot_.Parts().segments[index];
    std::array<float, kBlock> ranks;
    bool better = false;
    for (; from < to; from += kBlock) {
      const std::size_t count = std::min<std::uint64_t>(kBlock, to - from);
      query_.Rank(segment.Vector(from).data(), count, segment.Facts() + from, ranks.data());
      for (std::size_t i = 0; i < count; ++i) {
        const RowRef row{index, from + i};
        if (!best_.Wants(ranks[i]) || !snapshot_.Visible(row) || !Matches(row)) continue;
        best_.Add({ranks[i], row});
        better = true;
      }
    }
    return better;
  }

  // Of CompareAll.
  std::chrono::nanoseconds TimeOfAll(const Graph& graph) const {
    if (const RowCodes* codes = graph.Codes()) return graph.Rows() * TimeOfACode(*codes);
    return TimeOf(graph.Rows());
  }

  // By their codes, and the best of these by the rows: a quarter of the bytes. By the rows alone
  // where these have no codes, or a filter costs more than they do.
  void CompareAll(std::uint32_t index) {
    const Graph& graph = *snapshot_.Parts().segments[index]->NearGraph();
    const RowCodes* codes = graph.Codes();
    if (!codes || !filter_.All()) return void(Scan(index, 0, snapshot_.RowsOf(index)));
    if (!Affords(TimeOfAll(graph))) return;
    BestRows first(std::max(width_, usual_));
    std::array<std::uint32_t, kBlock> list;
    std::array<float, kBlock> ranks;
    for (std::uint64_t from = 0; from < graph.Rows(); from += kBlock) {
      const std::size_t count = std::min<std::uint64_t>(kBlock, graph.Rows() - from);
      std::iota(list.begin(), list.end(), static_cast<std::uint32_t>(from));
      Code().Rank(*codes, list.data(), count, ranks.data());
      for (std::size_t i = 0; i < count; ++i) {
        const RowRef row{index, list[i]};
        if (first.Wants(ranks[i]) && snapshot_.Visible(row)) first.Add({ranks[i], row});
      }
    }
    std::vector<std::uint32_t> rows;
    for (const RankedRow& each : first.All()) {
      rows.push_back(static_cast<std::uint32_t>(each.row.row));
    }
    Rank(index, rows);
    Scan(index, graph.Rows(), snapshot_.RowsOf(index));
  }

  // Of a walk that takes rows as they stand, whether they are there or gone.
  struct Guide {
    Search& search;
    std::uint32_t index;

    bool Wants(float) const { return false; }
    bool Keep(std::uint32_t row, float) const { return search.Matches({index, row}); }
  };
  // A row that is gone counts like one that is there: those that took its place are elsewhere. But
  // a walk goes on until nothing can be nearer than the best that are there.
  struct GuideAmongGone {
    Search& search;
    std::uint32_t index;
    BestRows there;  // by their codes

    bool Wants(float rank) const { return there.Wants(rank); }
    bool Keep(std::uint32_t number, float rank) {
      const RowRef row{index, number};
      if (!search.Matches(row)) return false;
      Look({rank, number});
      return true;
    }
    void Look(const RankedNode& met) {
      const RowRef row{index, met.node};
      if (Wants(met.rank) && search.snapshot_.Visible(row)) there.Add({met.rank, row});
    }
  };

  // That it may turn out to need.
  std::size_t Widest(const Graph& graph) const {
    const layout::GraphAdvice& advice = graph.Advice();
    return advised_ && advice.steps > 1 ? advice.width[advice.steps - 1] + more_ : width_;
  }

  // False: the filter, or what is gone, leaves so little that a walk would look at more; or walks
  // find too little here.
  bool Walked(std::uint32_t index) {
    const auto& segment = *snapshot_.Parts().segments[index];
    const Graph& graph = *segment.NearGraph();
    if (!filter_.All() && Matching(index, graph.Rows()) <= kFewMatches) return false;
    const RowCodes* codes = graph.Codes();
    auto time_of = [&](std::size_t width, std::size_t met) {
      return TimeOfAWalk(snapshot_.Of(), codes, width, met);
    };
    const auto first = time_of(width_, width_ * kMetACandidate);
    const std::size_t widest = Widest(graph);
    over_ = over_ || (first > kInVain && time_of(widest, widest * kMetACandidate) > left_);
    if (!Affords(first)) return true;
    const auto near = codes ? ComparedRows(Code(), *codes)
                            : ComparedRows(query_, segment.Vectors(), segment.Facts());
    auto limit = [&](std::size_t width) {
      return std::max<std::size_t>(graph.Rows() / 4, width * kWalkACandidate);
    };
    Guide guide{*this, index};
    std::size_t width = width_;
    if (!graph.Search(near, width, limit(width), scratch_, guide)) return false;
    if (advised_ && graph.Advice().steps > 1) {
      const auto count = std::ranges::count_if(
          scratch_.best, [&](const RankedNode& each) { return best_.Wants(each.rank); });
      const std::size_t hits = std::clamp<std::size_t>(count, 1, kAdvisedHits);
      const float nearness = LastNearness(query_, scratch_.best, hits);
      const float expected = Expected(snapshot_.Of(), graph.Rows());
      if (IsTooLittle(graph.Advice(), nearness, expected)) return false;
      const std::size_t wider = AdvisedWidth(graph.Advice(), nearness) + more_;
      if (wider > width) {
        // As many for each candidate as so far: in clusters that are apart they are few.
        const std::size_t more = wider - width;
        const auto time = time_of(more, more * scratch_.visited.Count() / width);
        if (time > TimeOfAll(graph)) return false;
        if (!Affords(time)) return true;
        width = wider;
        if (!graph.SearchOn(near, width, limit(width), scratch_, guide)) return false;
      }
    }
    std::vector<std::uint32_t> rows;
    rows.reserve(scratch_.best.size());
    for (const RankedNode& each : scratch_.best) {
      segment.Ahead(each.node);
      rows.push_back(each.node);
    }
    if (std::ranges::all_of(rows, [&](auto row) { return snapshot_.Visible({index, row}); })) {
      Rank(index, rows);
      return true;
    }
    GuideAmongGone among{*this, index, best_};
    for (const auto* nodes : {&scratch_.best, &scratch_.outdone}) {
      for (const RankedNode& each : *nodes) among.Look(each);
    }
    if (!graph.SearchOn(near, width, limit(width), scratch_, among)) return false;
    rows.clear();
    for (const RankedNode& each : scratch_.best) rows.push_back(each.node);
    for (const RankedRow& each : among.there.All()) {
      if (each.row.segment == index) rows.push_back(static_cast<std::uint32_t>(each.row.row));
    }
    std::ranges::sort(rows);
    rows.erase(std::ranges::unique(rows).begin(), rows.end());
    Rank(index, rows);
    return true;
  }

  // By the rows themselves.
  void Rank(std::uint32_t index, const std::vector<std::uint32_t>& rows) {
    const auto& segment = *snapshot_.Parts().segments[index];
    std::vector<float> ranks(rows.size());
    query_.RankRows(segment.Vectors(), rows.data(), rows.size(), segment.Facts(), ranks.data());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const RowRef row{index, rows[i]};
      if (best_.Wants(ranks[i]) && snapshot_.Visible(row)) best_.Add({ranks[i], row});
    }
  }
  const CodeQuery& Code() {
    if (!code_) code_.emplace(snapshot_.Of()).Become(vector_);
    return *code_;
  }

  Result<void> LookInCells(const std::vector<std::uint32_t>& segments) {
    const Schema& schema = snapshot_.Of();
    TRY(auto query, QueryVector::Of({schema.dimension, schema.metric, Storage::kF32}, vector_));
    CellOrder order(std::move(query));
    std::uint64_t rows = 0;
    std::uint64_t enough = 0;
    std::uint64_t matches = 0;
    std::uint64_t samples = 0;
    for (const std::uint32_t i : segments) {
      const Cells& cells = *snapshot_.Parts().segments[i]->RowCells();
      const std::uint64_t its = filter_.All() ? kSample : Matching(i, cells.Rows());
      if (its <= kFewMatches) {
        Scan(i, 0, snapshot_.RowsOf(i));
        continue;
      }
      order.Add(i, cells);
      rows += cells.Rows();
      enough += cells.Enough();
      matches += its;
      samples += kSample;
    }
    if (samples == 0) return {};
    order.Sort();
    const std::uint64_t least =
        std::max({kLeastCompared, enough, std::uint64_t{8} * width_}) * samples / matches;
    const std::uint64_t most = std::max(least, rows / kMostPart);
    std::uint64_t until = least;
    std::uint64_t compared = 0;
    auto compare = [&](std::uint32_t segment, Cells::Range cell) {
      compared += cell.to - cell.from;
      if (!Scan(segment, cell.from, cell.to)) return;
      const auto patience = static_cast<std::uint64_t>(kPatience * static_cast<double>(compared));
      until = std::clamp(patience, least, most);
    };
    while (!over_ && compared < until && order.Next(compare)) {
    }
    return {};
  }

  // Of kSample rows of the segment.
  std::uint64_t Matching(std::uint32_t index, std::uint64_t rows) {
    std::uint64_t matches = 0;
    for (std::uint64_t i = 0; i < kSample; ++i) {
      matches += Matches({index, i * rows / kSample}) ? 1 : 0;
    }
    return matches;
  }

  const Snapshot& snapshot_;
  const std::span<const float> vector_;
  const QueryVector& query_;
  const Filter& filter_;
  const bool exact_;
  const bool advised_;       // the graph says with how many candidates
  const std::size_t more_;   // than it says
  const std::size_t usual_;  // width of who names none
  const std::size_t width_;
  std::chrono::nanoseconds left_;
  bool over_ = false;  // more was needed than was left
  BestRows best_;
  std::optional<CodeQuery> code_;
  WalkScratch scratch_;
  std::optional<Error> unreadable_;
};

}  // namespace

Result<std::vector<Hit>> Snapshot::Search(std::span<const float> vector, std::size_t k,
                                          const Filter& filter, SearchOptions options) const {
  TRY(auto hits, SearchAll(vector, k, filter, options, std::chrono::nanoseconds::max()));
  return std::move(*hits);
}

Result<std::optional<std::vector<Hit>>> Snapshot::SearchWithin(std::chrono::nanoseconds most,
                                                               std::span<const float> vector,
                                                               std::size_t k,
                                                               SearchOptions options) const {
  return SearchAll(vector, k, {}, options, most);
}

Result<std::optional<std::vector<Hit>>> Snapshot::SearchAll(std::span<const float> vector,
                                                            std::size_t k, const Filter& filter,
                                                            SearchOptions options,
                                                            std::chrono::nanoseconds most) const {
  if (k < 1 || k > kMaxHits) {
    return Fail(Code::kInvalid, "k: expected a number from 1 to " + std::to_string(kMaxHits));
  }
  if (options.candidates > kMaxHits) {
    return Fail(Code::kInvalid, "candidates: at most " + std::to_string(kMaxHits));
  }
  TRY(const auto query, QueryVector::Of(view_->schema, vector));
  samovar::Search search(*this, vector, query, k, filter, options, most);
  TRY(const auto best, search.Done());
  if (!best) return std::nullopt;
  std::vector<Hit> hits;
  hits.reserve(best->size());
  for (const RankedRow& ranked : *best) hits.push_back({ranked.row, query.ToScore(ranked.rank)});
  TRY(Check());
  return hits;
}

Result<Recall> MeasureRecall(const Snapshot& snapshot, std::size_t queries, std::size_t k,
                             SearchOptions options) {
  std::vector<RowRef> rows;
  const std::uint64_t step = std::max<std::uint64_t>(1, snapshot.Count() / queries);
  std::uint64_t number = 0;
  for (auto row = snapshot.Next(std::nullopt); row; row = snapshot.Next(row)) {
    if (number++ % step == 0 && rows.size() < queries) rows.push_back(*row);
  }
  Recall recall{.found = 1, .queries = rows.size(), .generation = snapshot.Generation()};
  std::size_t wanted = 0;
  std::size_t found = 0;
  for (const RowRef row : rows) {
    const auto vector = snapshot.Vector(row);
    TRY(const auto exact, snapshot.Search(vector, k, {}, {.exact = true}));
    TRY(const auto near, snapshot.Search(vector, k, {}, options));
    // By score: of rows that are equally near any will do.
    const bool less = snapshot.Of().metric == Metric::kL2;
    for (std::size_t i = 0; i < std::min(exact.size(), near.size()); ++i) {
      const float score = near[i].score;
      const float last = exact.back().score;
      found += (less ? score <= last : score >= last) ? 1 : 0;
    }
    wanted += exact.size();
  }
  if (wanted > 0) recall.found = static_cast<double>(found) / static_cast<double>(wanted);
  return recall;
}

}  // namespace samovar
