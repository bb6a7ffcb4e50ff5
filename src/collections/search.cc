// Snapshot, its part that searches.

#include <algorithm>
#include <array>

#include "collections/graph_advice.h"
#include "collections/graph_walk.h"
#include "collections/snapshot.h"
#include "collections/vectors.h"

namespace samovar {
namespace {

constexpr std::size_t kBlock = 256;      // rows that are compared before any is looked at
constexpr std::size_t kLeastWidth = 64;  // of a walk; a graph's advice begins there
constexpr std::size_t kUsual = 10;       // hits that advice is for
constexpr std::uint64_t kSample = 256;   // rows that tell how much a filter leaves
// In cells: so many rows and one of so many are compared, then until cells bring nothing new, at
// most one row of four.
constexpr std::uint64_t kLeastCompared = 512;
constexpr std::uint64_t kLeastPart = 32;
constexpr std::uint64_t kMostPart = 4;
constexpr int kQuietCells = 8;
constexpr std::uint64_t kMetACandidate = 14;  // rows that a walk compares for each that it keeps
constexpr std::uint64_t kFewMatches = 4;      // of those: then every vector is compared

struct Ranked {
  float rank;
  RowRef row;
};

// The best so far: a heap whose front is the worst of them.
class Best {
 public:
  explicit Best(std::size_t k) : k_(k) { heap_.reserve(k); }
  bool Wants(float rank) const { return heap_.size() < k_ || rank > heap_.front().rank; }
  void Add(Ranked ranked) {
    if (heap_.size() == k_) {
      std::ranges::pop_heap(heap_, kWorstFirst);
      heap_.pop_back();
    }
    heap_.push_back(ranked);
    std::ranges::push_heap(heap_, kWorstFirst);
  }
  std::vector<Ranked> Sorted() {
    std::ranges::sort_heap(heap_, kWorstFirst);
    return std::move(heap_);
  }

 private:
  static constexpr auto kWorstFirst = [](const Ranked& a, const Ranked& b) {
    return a.rank > b.rank;
  };
  std::size_t k_;
  std::vector<Ranked> heap_;
};

// One search through the segments, one after the other.
class Search {
 public:
  Search(const Snapshot& snapshot, std::span<const float> vector, const QueryVector& query,
         std::size_t k, const Filter& filter, const SearchOptions& options, std::uint64_t budget)
      : snapshot_(snapshot),
        vector_(vector),
        query_(query),
        filter_(filter),
        exact_(options.exact),
        advised_(options.candidates == 0),
        more_(k > kUsual ? 2 * (k - kUsual) : 0),
        width_(std::max(k, advised_ ? std::max(k * 2, kLeastWidth) : options.candidates)),
        budget_(budget),
        best_(k) {}

  // False: it would take more than the budget.
  bool Look(std::uint32_t index) {
    const auto& segment = *snapshot_.Parts().segments[index];
    const Graph* graph = exact_ ? nullptr : segment.NearGraph();
    if (graph && Walked(index, segment, *graph)) return !over_;
    const Cells* cells = exact_ ? nullptr : segment.RowCells();
    if (!cells || !Compared(index, *cells)) Scan(index, 0, snapshot_.RowsOf(index));
    return !over_;
  }
  Result<std::vector<Ranked>> Done() {
    if (unreadable_) return std::unexpected(*unreadable_);
    return best_.Sorted();
  }

 private:
  bool Affords(std::uint64_t rows) {
    over_ = over_ || rows > budget_;
    if (!over_) budget_ -= rows;
    return !over_;
  }
  bool Admits(RowRef row) { return snapshot_.Visible(row) && Matches(row); }
  bool Matches(RowRef row) {
    if (filter_.All()) return true;
    const auto attributes = snapshot_.Attributes(row);
    if (attributes) return filter_.Matches(*attributes);
    unreadable_ = attributes.error();
    return false;
  }

  // Whether it found any of the best so far.
  bool Scan(std::uint32_t index, std::uint64_t from, std::uint64_t to) {
    if (!Affords(to - std::min(from, to))) return false;
    const auto& segment = *snapshot_.Parts().segments[index];
    std::array<float, kBlock> ranks{};
    bool better = false;
    for (; from < to; from += kBlock) {
      const std::size_t count = std::min<std::uint64_t>(kBlock, to - from);
      query_.Rank(segment.Vector(from).data(), count, segment.Facts() + from, ranks.data());
      for (std::size_t i = 0; i < count; ++i) {
        const RowRef row{index, from + i};
        if (!best_.Wants(ranks[i]) || !Admits(row)) continue;
        best_.Add({ranks[i], row});
        better = true;
      }
    }
    return better;
  }

  // False: the filter leaves so little that a walk would not find it.
  bool Walked(std::uint32_t index, const samovar::Segment& segment, const Graph& graph) {
    if (!filter_.All() && Matching(index, graph.Rows()) <= kFewMatches) return false;
    const std::size_t limit = filter_.All() ? ~std::size_t{0} : graph.Rows() / 4;
    const NearRows near{&query_, segment.Vectors(), segment.Facts()};
    const auto admit = [&](std::uint32_t row) { return Admits({index, row}); };
    if (!Affords(width_ * kMetACandidate)) return true;
    if (!graph.Search(near, width_, limit, scratch_, admit)) return false;
    if (advised_ && graph.Advice().steps > 1) {
      const std::size_t width = AdvisedWidth(graph.Advice(), query_, scratch_.best) + more_;
      if (width > width_) {
        if (!Affords(width * kMetACandidate)) return true;
        if (!graph.SearchOn(near, width, limit, scratch_, admit)) return false;
      }
    }
    for (const RankedNode& found : scratch_.best) {
      if (best_.Wants(found.rank)) best_.Add({found.rank, {index, found.node}});
    }
    return true;
  }

  // The rows of the nearest cells; false as for Walked.
  bool Compared(std::uint32_t index, const Cells& cells) {
    std::uint64_t matches = kSample;
    if (!filter_.All()) matches = Matching(index, cells.Rows());
    if (matches <= kFewMatches) return false;
    const std::uint64_t least =
        std::max({kLeastCompared, cells.Rows() / kLeastPart, std::uint64_t{8} * width_}) * kSample /
        matches;
    if (!of_centres_) {
      const Schema& schema = snapshot_.Of();
      auto query = QueryVector::Of({schema.dimension, schema.metric, Storage::kF32}, vector_);
      if (!query) return false;
      of_centres_ = std::move(*query);
    }
    std::uint64_t compared = 0;
    int quiet = 0;
    cells.Near(*of_centres_, order_, [&](Cells::Range cell) {
      quiet = Scan(index, cell.from, cell.to) ? 0 : quiet + 1;
      compared += cell.to - cell.from;
      return !over_ && (compared < least || (quiet < kQuietCells &&
                                             compared < std::max(least, cells.Rows() / kMostPart)));
    });
    return true;
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
  std::optional<QueryVector> of_centres_;
  CellOrder order_;
  const Filter& filter_;
  const bool exact_;
  const bool advised_;      // the graph says with how many candidates
  const std::size_t more_;  // than it says
  const std::size_t width_;
  std::uint64_t budget_;  // rows that may still be compared
  bool over_ = false;     // it is used up
  Best best_;
  WalkScratch scratch_;
  std::optional<Error> unreadable_;
};

}  // namespace

Result<std::vector<Hit>> Snapshot::Search(std::span<const float> vector, std::size_t k,
                                          const Filter& filter, SearchOptions options) const {
  TRY(auto hits, SearchAll(vector, k, filter, options, ~std::uint64_t{0}));
  return std::move(*hits);
}

Result<std::optional<std::vector<Hit>>> Snapshot::SearchWithin(std::chrono::nanoseconds most,
                                                               std::span<const float> vector,
                                                               std::size_t k,
                                                               SearchOptions options) const {
  // A row is waited for, then read: some 20 ns, and 8 bytes a nanosecond.
  const std::uint64_t each = 20 + view_->schema.RowBytes() / 8;
  return SearchAll(vector, k, {}, options, static_cast<std::uint64_t>(most.count()) / each);
}

Result<std::optional<std::vector<Hit>>> Snapshot::SearchAll(std::span<const float> vector,
                                                            std::size_t k, const Filter& filter,
                                                            SearchOptions options,
                                                            std::uint64_t budget) const {
  if (k < 1 || k > kMaxHits) {
    return Fail(Code::kInvalid, "k: expected a number from 1 to " + std::to_string(kMaxHits));
  }
  if (options.candidates > kMaxHits) {
    return Fail(Code::kInvalid, "candidates: at most " + std::to_string(kMaxHits));
  }
  TRY(const auto query, QueryVector::Of(view_->schema, vector));
  samovar::Search search(*this, vector, query, k, filter, options, budget);
  for (std::uint32_t i = 0; i < view_->segments.size(); ++i) {
    if (!search.Look(i)) return std::optional<std::vector<Hit>>();
  }
  TRY(const auto best, search.Done());
  std::vector<Hit> hits;
  hits.reserve(best.size());
  for (const Ranked& ranked : best) hits.push_back({ranked.row, query.ToScore(ranked.rank)});
  TRY(Check());
  return hits;
}

Result<Recall> MeasureRecall(const Snapshot& snapshot, std::size_t queries, std::size_t k) {
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
    TRY(const auto near, snapshot.Search(vector, k));
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
