#pragma once
// CellCentres: the places around which rows are put together in cells (cells.h).
//
// How      k-means over a sample of at most kMostSampleBytes; where rows are so long that this is
//          few of them, there are fewer centres.
// Threads  Pure.

#include <functional>
#include <string>
#include <vector>

#include "collections/layout.h"
#include "collections/panels.h"
#include "collections/schema.h"

namespace samovar {

inline constexpr std::uint64_t kRowsForCells = 1024;  // fewer are compared all as fast
inline constexpr std::size_t kMostSampleBytes = 128 << 20;

// As they are stored, of floats.
struct CellCentres {
  // Of the centres of rows of a collection: those that point the same way are together; how long
  // they are is seen when they are compared.
  static Schema SchemaFor(const Schema& rows) {
    return {rows.dimension, rows.metric == Metric::kDot ? Metric::kCosine : rows.metric,
            Storage::kF32};
  }

  Schema schema;  // of a centre
  std::string bytes;
  std::vector<layout::Facts> facts;

  std::size_t Count() const { return facts.size(); }
  std::uint64_t Hash() const;  // as Cells::CentresHash
  Panels ToPanels() const;
};

using VectorOf = std::function<std::vector<float>(std::uint64_t row)>;
// Of `count` rows; no centre where there are too few rows for it to pay.
CellCentres FindCentres(const Schema& schema, std::uint64_t count, const VectorOf& vector,
                        const std::function<bool()>& stopped);

}  // namespace samovar
