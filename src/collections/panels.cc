#include "collections/panels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "collections/kernel.h"
#include "collections/vectors.h"

namespace samovar {
namespace {

constexpr std::size_t kTile = 6;  // rows: with sixteen vectors they fill the registers of AVX2
constexpr std::size_t kBytesAtOnce = 12 << 10;
constexpr float kNone = -std::numeric_limits<float>::infinity();

// Rows of one dimension, of which the first is at `values`.
struct Block {
  const float* values;
  std::size_t dimension;
  std::size_t count;
};

// Of `kRows` rows and one panel.
template <std::size_t kRows, bool kSquaredDistance>
SAMOVAR_INLINE void Tile(const float* rows, std::size_t dimension, const float* panel, float* out) {
  Floats16 sums[kRows] = {};
  for (std::size_t d = 0; d < dimension; ++d) {
    Floats16 vectors;
    std::memcpy(&vectors, panel + d * Panels::kLanes, sizeof(vectors));
    for (std::size_t row = 0; row < kRows; ++row) {
      if constexpr (kSquaredDistance) {
        const Floats16 difference = vectors - rows[row * dimension + d];
        sums[row] += difference * difference;
      } else {
        sums[row] += vectors * rows[row * dimension + d];
      }
    }
  }
  std::memcpy(out, sums, sizeof(sums));
}

template <bool kSquaredDistance>
SAMOVAR_INLINE void Tiles(const Block& rows, const float* panel, float* out) {
  std::size_t row = 0;
  for (; row + kTile <= rows.count; row += kTile) {
    Tile<kTile, kSquaredDistance>(rows.values + row * rows.dimension, rows.dimension, panel,
                                  out + row * Panels::kLanes);
  }
  for (; row < rows.count; ++row) {
    Tile<1, kSquaredDistance>(rows.values + row * rows.dimension, rows.dimension, panel,
                              out + row * Panels::kLanes);
  }
}

SAMOVAR_KERNEL void Dots(const Block& rows, const float* panel, float* out) {
  Tiles<false>(rows, panel, out);
}
SAMOVAR_KERNEL void Distances(const Block& rows, const float* panel, float* out) {
  Tiles<true>(rows, panel, out);
}

}  // namespace

void FloatRows::Clear() {
  values_.clear();
  inverse_norms_.clear();
}

void FloatRows::Add(std::span<const float> values) {
  values_.insert(values_.end(), values.begin(), values.end());
  inverse_norms_.push_back(samovar::InverseNorm(values));
}

void FloatRows::Add(const Schema& schema, const StoredVector& row) {
  values_.resize(values_.size() + dimension_);
  DecodeVector(schema, row.bytes, row.facts.scale, std::span(values_).last(dimension_));
  inverse_norms_.push_back(row.facts.inverse_norm);
}

Panels::Panels(Metric metric, const FloatRows& vectors)
    : metric_(metric), dimension_(vectors.Dimension()), count_(vectors.Count()) {
  const std::size_t panels = (count_ + kLanes - 1) / kLanes;
  values_.resize(panels * kLanes * dimension_);
  inverse_norms_.resize(panels * kLanes);
  for (std::size_t i = 0; i < count_; ++i) {
    const std::span<const float> its = vectors.At(i);
    float* to = values_.data() + i / kLanes * kLanes * dimension_ + i % kLanes;
    for (std::size_t d = 0; d < dimension_; ++d) to[d * kLanes] = its[d];
    inverse_norms_[i] = vectors.InverseNorm(i);
  }
}

std::size_t Panels::AtOnce() const {
  return std::clamp(kBytesAtOnce / (dimension_ * sizeof(float)), kTile, kMostAtOnce);
}

void Panels::RankPanel(const FloatRows& rows, std::size_t from, std::size_t count,
                       std::size_t first, std::array<Ranks, kMostAtOnce>& ranks) const {
  const Block block{rows.At(from).data(), dimension_, count};
  const float* panel = values_.data() + first * dimension_;
  auto* kernel = metric_ == Metric::kL2 ? Distances : Dots;
  kernel(block, panel, ranks.front().data());
  const float* norms = inverse_norms_.data() + first;
  for (std::size_t i = 0; i < count; ++i) {
    Ranks& its = ranks[i];
    if (metric_ == Metric::kL2) {
      for (float& rank : its) rank = -rank;
    } else if (metric_ == Metric::kCosine) {
      const float norm = rows.InverseNorm(from + i);
      for (std::size_t lane = 0; lane < kLanes; ++lane) its[lane] *= norms[lane] * norm;
    }
    for (std::size_t lane = std::min(kLanes, count_ - first); lane < kLanes; ++lane) {
      its[lane] = kNone;
    }
  }
}

void Panels::FindNearest(const FloatRows& rows, std::size_t from, std::size_t count,
                         std::span<Nearest> nearest) const {
  // Each lane has a nearest of its own until the end.
  struct Best {
    Ranks ranks;
    std::array<std::uint32_t, kLanes> first;
  };
  std::array<Best, kMostAtOnce> best;
  for (std::size_t i = 0; i < count; ++i) {
    best[i].ranks.fill(kNone);
    best[i].first.fill(0);
  }
  Rank(rows, from, count, [&](std::size_t row, std::size_t first, const Ranks& ranks) {
    Best& its = best[row - from];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const bool nearer = ranks[lane] > its.ranks[lane];
      its.ranks[lane] = nearer ? ranks[lane] : its.ranks[lane];
      its.first[lane] = nearer ? static_cast<std::uint32_t>(first) : its.first[lane];
    }
  });
  for (std::size_t i = 0; i < count; ++i) {
    const auto lane =
        static_cast<std::uint32_t>(std::ranges::max_element(best[i].ranks) - best[i].ranks.begin());
    nearest[i] = {best[i].first[lane] + lane, best[i].ranks[lane]};
  }
}

std::vector<std::vector<NearRow>> FindNearRows(const Schema& schema, const FloatRows& vectors,
                                               std::uint64_t count, const StoredVectorOf& row,
                                               std::size_t most,
                                               const std::function<bool()>& stopped) {
  constexpr auto kNearer = [](const NearRow& a, const NearRow& b) { return a.rank > b.rank; };
  const Panels panels(schema.metric, vectors);
  std::vector<std::vector<NearRow>> nearest(vectors.Count());  // heaps, the farthest in front
  std::vector<float> wanted(vectors.Count(), kNone);           // nearer than that
  auto take = [&](std::size_t vector, NearRow near) {
    auto& heap = nearest[vector];
    if (heap.size() == most) {
      std::ranges::pop_heap(heap, kNearer);
      heap.pop_back();
    }
    heap.push_back(near);
    std::ranges::push_heap(heap, kNearer);
    if (heap.size() == most) wanted[vector] = heap.front().rank;
  };
  FloatRows some(vectors.Dimension());
  for (std::uint64_t from = 0; from < count && !stopped(); from += some.Count()) {
    some.Clear();
    const std::uint64_t to = std::min<std::uint64_t>(count, from + panels.AtOnce());
    for (std::uint64_t i = from; i < to; ++i) some.Add(schema, row(i));
    panels.Rank(some, 0, some.Count(),
                [&](std::size_t i, std::size_t first, const Panels::Ranks& ranks) {
                  const std::size_t end = std::min(Panels::kLanes, vectors.Count() - first);
                  for (std::size_t lane = 0; lane < end; ++lane) {
                    if (!(ranks[lane] > wanted[first + lane])) continue;
                    take(first + lane, {ranks[lane], static_cast<std::uint32_t>(from + i)});
                  }
                });
  }
  return nearest;
}

}  // namespace samovar
