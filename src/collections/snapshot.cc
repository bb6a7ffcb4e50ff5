#include "collections/snapshot.h"

#include <algorithm>
#include <array>

#include "collections/vectors.h"

namespace samovar {
namespace {

constexpr std::size_t kBlock = 256;  // rows that are compared before any is looked at

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

}  // namespace

Snapshot::Snapshot(ViewPtr view, std::uint64_t generation)
    : view_(std::move(view)), generation_(generation) {
  counts_.reserve(view_->segments.size());
  for (const auto& segment : view_->segments) counts_.push_back(segment->CountAt(generation));
}

Result<void> Snapshot::Check() const {
  std::atomic_thread_fence(std::memory_order_acquire);
  if (view_->Control().expired.load(std::memory_order_acquire) <= view_->manifest) return {};
  return Fail(Code::kConflict, "this view of the collection is too old; take a new one");
}

std::optional<RowRef> Snapshot::Find(std::string_view id) const {
  for (auto i = static_cast<std::uint32_t>(view_->segments.size()); i-- > 0;) {
    if (auto row = view_->segments[i]->Find(id, generation_)) return RowRef{i, *row};
  }
  return std::nullopt;
}

Result<std::string_view> Snapshot::Attributes(RowRef row) const {
  const Segment& segment = At(row);
  const std::uint64_t patch = segment.Live(row.row).patch.load(std::memory_order_acquire);
  if (patch != 0) {
    TRY(const auto newer, view_->patches->Read(patch, generation_));
    if (newer) return *newer;
  }
  return segment.FirstAttributes(row.row);
}

std::vector<float> Snapshot::Vector(RowRef row) const {
  const Segment& segment = At(row);
  return DecodeVector(view_->schema, segment.Vector(row.row).data(),
                      segment.Facts()[row.row].scale);
}

Result<std::vector<Hit>> Snapshot::Search(std::span<const float> vector, std::size_t k,
                                          const Filter& filter) const {
  if (k < 1 || k > kMaxHits) {
    return Fail(Code::kInvalid, "k: expected a number from 1 to " + std::to_string(kMaxHits));
  }
  TRY(const auto query, QueryVector::Of(view_->schema, vector));
  Best best(k);
  std::array<float, kBlock> ranks{};
  for (std::uint32_t s = 0; s < view_->segments.size(); ++s) {
    const Segment& segment = *view_->segments[s];
    for (std::uint64_t from = 0; from < counts_[s]; from += kBlock) {
      const std::size_t count = std::min<std::uint64_t>(kBlock, counts_[s] - from);
      query.Rank(segment.Vector(from).data(), count, segment.Facts() + from, ranks.data());
      for (std::size_t i = 0; i < count; ++i) {
        const RowRef row{s, from + i};
        if (!best.Wants(ranks[i]) || !segment.Visible(row.row, generation_)) continue;
        if (!filter.All()) {
          TRY(const auto attributes, Attributes(row));
          if (!filter.Matches(attributes)) continue;
        }
        best.Add({ranks[i], row});
      }
    }
  }
  std::vector<Hit> hits;
  for (const Ranked& ranked : best.Sorted())
    hits.push_back({ranked.row, query.ToScore(ranked.rank)});
  TRY(Check());
  return hits;
}

std::optional<RowRef> Snapshot::Next(std::optional<RowRef> after) const {
  RowRef row = after ? RowRef{after->segment, after->row + 1} : RowRef{0, 0};
  for (; row.segment < counts_.size(); row = {row.segment + 1, 0}) {
    for (; row.row < counts_[row.segment]; ++row.row) {
      if (Visible(row)) return row;
    }
  }
  return std::nullopt;
}

std::uint64_t Snapshot::Count() const {
  std::uint64_t count = 0;
  for (auto row = Next(std::nullopt); row; row = Next(row)) ++count;
  return count;
}

}  // namespace samovar
