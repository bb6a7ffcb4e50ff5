#include "collections/cell_measure.h"

#include <algorithm>
#include <numeric>

#include "collections/vectors.h"

namespace samovar {
namespace {

constexpr std::size_t kNearest = 10;  // in the whole collection
constexpr std::size_t kLooked = 640;  // near rows that are looked for
constexpr std::size_t kMostQueries = 128;
constexpr double kFound = 0.95;  // of the nearest

}  // namespace

std::uint32_t MeasureEnough(const Schema& schema, const CellCentres& centres,
                            std::span<const std::uint32_t> cell, const StoredVectorOf& vector,
                            std::uint64_t all, const std::function<bool()>& stopped) {
  const std::size_t count = cell.size();
  const std::size_t most =
      std::min(kNearest, kNearest * count / std::max<std::uint64_t>(all, count) + 1);
  std::vector<std::uint64_t> asked(std::min({kLooked / most, kMostQueries, count}));
  FloatRows queries(schema.dimension);
  for (std::size_t q = 0; q < asked.size(); ++q) {
    asked[q] = q * count / asked.size();
    queries.Add(schema, vector(asked[q]));
  }
  // One more, as each row is near itself.
  const auto nearest = FindNearRows(schema, queries, count, vector, most + 1, stopped);
  std::vector<std::uint64_t> sizes(centres.Count());
  for (const std::uint32_t its : cell) ++sizes[its];
  const Schema floats{schema.dimension, schema.metric, Storage::kF32};
  std::vector<std::uint64_t> needed;
  std::vector<float> ranks(centres.Count());
  std::vector<std::uint32_t> order(centres.Count());
  std::vector<std::uint64_t> until(centres.Count());  // rows up to the end of this cell
  for (std::size_t q = 0; q < asked.size() && !stopped(); ++q) {
    const StoredVector its = vector(asked[q]);
    const auto query = QueryVector::Of(floats, DecodeVector(schema, its.bytes, its.facts.scale));
    if (!query) continue;
    query->Rank(centres.bytes.data(), centres.Count(), centres.facts.data(), ranks.data());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, std::greater<>(), [&](std::uint32_t i) { return ranks[i]; });
    std::uint64_t sum = 0;
    for (const std::uint32_t i : order) until[i] = sum += sizes[i];
    for (const auto& [rank, row] : nearest[q]) {
      if (row != asked[q]) needed.push_back(until[cell[row]]);
    }
  }
  if (needed.empty()) return layout::kWhole;
  std::ranges::sort(needed);
  const auto at = static_cast<std::size_t>(static_cast<double>(needed.size() - 1) * kFound);
  return static_cast<std::uint32_t>(needed[at] * layout::kWhole / count);
}

}  // namespace samovar
