#include "collections/cell_measure.h"

#include <algorithm>
#include <numeric>

namespace samovar {
namespace {

constexpr std::size_t kNearest = 10;  // in the whole collection
constexpr std::size_t kLooked = 640;  // near rows that are looked for
constexpr std::size_t kMostQueries = 128;
constexpr double kFound = 0.95;  // of the nearest

using Rank = std::pair<float, std::uint32_t>;  // of a row

// Of the first `count` rows the `most` nearest to each query, but for itself; each a heap with the
// worst in front.
std::vector<std::vector<Rank>> Nearest(std::span<const QueryVector> queries, std::size_t count,
                                       const StoredVectorOf& vector, std::size_t most,
                                       const std::function<bool()>& stopped) {
  std::vector<std::vector<Rank>> nearest(queries.size());
  for (std::uint32_t row = 0; row < count && !stopped(); ++row) {
    const StoredVector its = vector(row);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      if (q * count / queries.size() == row) continue;
      float rank = 0;
      queries[q].Rank(its.bytes, 1, &its.facts, &rank);
      auto& best = nearest[q];
      if (best.size() == most && rank <= best.front().first) continue;
      if (best.size() == most) {
        std::ranges::pop_heap(best, std::greater<>());
        best.pop_back();
      }
      best.emplace_back(rank, row);
      std::ranges::push_heap(best, std::greater<>());
    }
  }
  return nearest;
}

}  // namespace

std::uint32_t MeasureEnough(const Schema& schema, const CellCentres& centres,
                            std::span<const std::uint32_t> cell, const StoredVectorOf& vector,
                            std::uint64_t all, const std::function<bool()>& stopped) {
  const std::size_t count = cell.size();
  const std::size_t most =
      std::min(kNearest, kNearest * count / std::max<std::uint64_t>(all, count) + 1);
  std::vector<QueryVector> queries(std::min({kLooked / most, kMostQueries, count}),
                                   QueryVector(schema));
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const StoredVector its = vector(q * count / queries.size());
    queries[q].Become(its.bytes, its.facts);
  }
  const auto nearest = Nearest(queries, count, vector, most, stopped);
  std::vector<std::uint64_t> sizes(centres.Count());
  for (const std::uint32_t its : cell) ++sizes[its];
  const Schema floats{schema.dimension, schema.metric, Storage::kF32};
  std::vector<std::uint64_t> needed;
  std::vector<float> ranks(centres.Count());
  std::vector<std::uint32_t> order(centres.Count());
  std::vector<std::uint64_t> until(centres.Count());  // rows up to the end of this cell
  for (std::size_t q = 0; q < queries.size() && !stopped(); ++q) {
    const StoredVector its = vector(q * count / queries.size());
    const auto query = QueryVector::Of(floats, DecodeVector(schema, its.bytes, its.facts.scale));
    if (!query) continue;
    query->Rank(centres.bytes.data(), centres.Count(), centres.facts.data(), ranks.data());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, std::greater<>(), [&](std::uint32_t i) { return ranks[i]; });
    std::uint64_t sum = 0;
    for (const std::uint32_t i : order) until[i] = sum += sizes[i];
    for (const auto& [rank, row] : nearest[q]) needed.push_back(until[cell[row]]);
  }
  if (needed.empty()) return layout::kWhole;
  std::ranges::sort(needed);
  const auto at = static_cast<std::size_t>(static_cast<double>(needed.size() - 1) * kFound);
  return static_cast<std::uint32_t>(needed[at] * layout::kWhole / count);
}

}  // namespace samovar
