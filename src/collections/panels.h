#pragma once
// Panels: vectors side by side, sixteen to a panel, to compare each of many rows with all of them.
//
// Why      Compared row by row (QueryVector), 128 floats take 9 ns: each number is fetched for one
//          product, and sixteen sums are added up at the end. Here a number of a row meets sixteen
//          vectors at once, six rows take turns at what was fetched, and nothing is added up: 2 ns.
// How      As in a product of matrices: a tile of six rows and sixteen vectors stays in registers.
// Errors   None.
// Threads  Panels are immutable. FloatRows: one.

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "collections/layout.h"
#include "collections/schema.h"

namespace samovar {

struct StoredVector {
  const void* bytes;
  layout::Facts facts;
};
using StoredVectorOf = std::function<StoredVector(std::uint64_t row)>;

// Rows as floats, one after the other.
class FloatRows {
 public:
  explicit FloatRows(std::size_t dimension) : dimension_(dimension) {}
  void Reserve(std::size_t rows) { values_.reserve(rows * dimension_); }
  void Clear();
  void Add(std::span<const float> values);
  void Add(const Schema& schema, const StoredVector& row);

  std::size_t Count() const { return inverse_norms_.size(); }
  std::size_t Dimension() const { return dimension_; }
  std::span<const float> At(std::size_t row) const {
    return std::span(values_).subspan(row * dimension_, dimension_);
  }
  float InverseNorm(std::size_t row) const { return inverse_norms_[row]; }

 private:
  std::size_t dimension_;
  std::vector<float> values_;
  std::vector<float> inverse_norms_;
};

class Panels {
 public:
  static constexpr std::size_t kLanes = 16;
  // So many rows at once share what is read of the panels.
  static constexpr std::size_t kMostAtOnce = 24;
  using Ranks = std::array<float, kLanes>;

  Panels(Metric metric, const FloatRows& vectors);
  std::size_t Count() const { return count_; }

  // Fewer of rows that are large: all of them are to stay in the nearest cache.
  std::size_t AtOnce() const;
  // Compares rows [from, from + count) with all vectors: `visit(row, first, ranks)` gets what
  // QueryVector::Rank would answer, but for rounding, of vectors `first` and those that follow.
  // Where the last panel has none, it is -infinity. REQUIRES: count <= kMostAtOnce.
  template <class Visit>
  void Rank(const FloatRows& rows, std::size_t from, std::size_t count, const Visit& visit) const {
    std::array<Ranks, kMostAtOnce> ranks;
    for (std::size_t first = 0; first < count_; first += kLanes) {
      RankPanel(rows, from, count, first, ranks);
      for (std::size_t i = 0; i < count; ++i) visit(from + i, first, ranks[i]);
    }
  }
  // The nearest vector to each of the rows, and how near it is.
  struct Nearest {
    std::uint32_t vector = 0;
    float rank = 0;
  };
  void FindNearest(const FloatRows& rows, std::size_t from, std::size_t count,
                   std::span<Nearest> nearest) const;

 private:
  void RankPanel(const FloatRows& rows, std::size_t from, std::size_t count, std::size_t first,
                 std::array<Ranks, kMostAtOnce>& ranks) const;

  Metric metric_;
  std::size_t dimension_;
  std::size_t count_;
  std::vector<float> values_;  // a panel: sixteen times the first number, then the second, ...
  std::vector<float> inverse_norms_;
};

// Of `count` stored rows the `most` nearest to each of the vectors, in no order. Of less worth when
// `stopped`, which is asked for each few rows.
struct NearRow {
  float rank;
  std::uint32_t row;
};
std::vector<std::vector<NearRow>> FindNearRows(const Schema& schema, const FloatRows& vectors,
                                               std::uint64_t count, const StoredVectorOf& row,
                                               std::size_t most,
                                               const std::function<bool()>& stopped);

}  // namespace samovar
