#include "collections/centres.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "collections/checksum.h"
#include "collections/vectors.h"

namespace samovar {
namespace {

constexpr std::size_t kMostCells = 2048;
constexpr std::size_t kSampled = 40;  // rows a centre that k-means looks at
constexpr std::size_t kLeastSampled = 8;
constexpr int kRounds = 4;

CellCentres Encode(const Schema& schema, const FloatRows& values) {
  CellCentres centres{.schema = schema, .bytes = {}, .facts = {}};
  for (std::size_t i = 0; i < values.Count(); ++i) {
    const auto encoded = EncodeVector(schema, values.At(i));
    if (!encoded) continue;  // too large to add up: it is none
    centres.bytes += encoded->bytes;
    centres.facts.push_back({.inverse_norm = encoded->inverse_norm, .scale = 1});
  }
  return centres;
}

// The rows that are nearest to each centre, added up.
struct Sums {
  Sums(std::size_t centres, std::size_t dimension)
      : values(centres, std::vector<float>(dimension)), sizes(centres) {}

  void Add(std::size_t centre, std::span<const float> row) {
    for (std::size_t d = 0; d < row.size(); ++d) values[centre][d] += row[d];
    ++sizes[centre];
  }
  // Of less worth when `stopped`, which is asked for each row: with thousands of numbers a row, one
  // takes long and a round minutes.
  void AddAll(const FloatRows& rows, const Panels& centres, const std::function<bool()>& stopped) {
    std::array<Panels::Nearest, Panels::kMostAtOnce> nearest;
    for (std::size_t from = 0; from < rows.Count();) {
      const std::size_t count = std::min(rows.Count() - from, centres.AtOnce());
      centres.FindNearest(rows, from, count, nearest);
      for (std::size_t i = 0; i < count; ++i) {
        if (stopped()) return;
        Add(nearest[i].vector, rows.At(from + i));
      }
      from += count;
    }
  }
  FloatRows Middles(const FloatRows& rows) const {
    FloatRows middles(rows.Dimension());
    for (std::size_t centre = 0; centre < values.size(); ++centre) {
      if (sizes[centre] == 0) {  // begins anew somewhere
        middles.Add(rows.At(centre * 7919 % rows.Count()));
        continue;
      }
      std::vector<float> middle = values[centre];
      for (float& value : middle) value /= static_cast<float>(sizes[centre]);
      middles.Add(middle);
    }
    return middles;
  }

  std::vector<std::vector<float>> values;
  std::vector<std::size_t> sizes;
};

}  // namespace

std::uint64_t CellCentres::Hash() const { return Checksum(bytes); }

Panels CellCentres::ToPanels() const {
  FloatRows rows(schema.dimension);
  for (std::size_t i = 0; i < Count(); ++i) {
    rows.Add(schema, {bytes.data() + i * schema.RowBytes(), facts[i]});
  }
  return {schema.metric, rows};
}

CellCentres FindCentres(const Schema& schema, std::uint64_t count, const VectorOf& vector,
                        const std::function<bool()>& stopped) {
  CellCentres centres{.schema = CellCentres::SchemaFor(schema), .bytes = {}, .facts = {}};
  if (count < kRowsForCells) return centres;
  const std::size_t most = kMostSampleBytes / (schema.dimension * sizeof(float));
  const std::size_t cells =
      std::min({kMostCells, most / kLeastSampled,
                4 * static_cast<std::size_t>(std::sqrt(static_cast<double>(count)))});
  const std::size_t sampled = std::min<std::size_t>({count, cells * kSampled, most});
  FloatRows sample(schema.dimension);
  sample.Reserve(sampled);
  for (std::size_t i = 0; i < sampled && !stopped(); ++i) {
    sample.Add(vector(i * count / sampled));
  }
  FloatRows first(schema.dimension);
  for (std::size_t i = 0; i < cells && sample.Count() > 0; ++i) {
    first.Add(sample.At(i * sample.Count() / cells));
  }
  centres = Encode(centres.schema, first);
  for (int round = 0; round < kRounds && centres.Count() > 0 && !stopped(); ++round) {
    Sums sums(centres.Count(), schema.dimension);
    sums.AddAll(sample, centres.ToPanels(), stopped);
    centres = Encode(centres.schema, sums.Middles(sample));
  }
  return centres;
}

}  // namespace samovar
