#include "collections/cells.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "collections/checksum.h"

namespace samovar {
namespace {

using layout::CellsHeader;

constexpr std::size_t kMostCells = 2048;
constexpr std::size_t kSampled = 40;  // rows a centre that k-means looks at
constexpr int kRounds = 4;
constexpr std::size_t kNearBytes = 16 << 10;  // of centres that stay in the nearest cache

Schema OfCentres(const Schema& schema) { return {schema.dimension, schema.metric, Storage::kF32}; }
// Rows that point the same way are together; how long they are is seen when they are compared.
Schema ForAssigning(const Schema& schema) {
  return {schema.dimension, schema.metric == Metric::kDot ? Metric::kCosine : schema.metric,
          Storage::kF32};
}

void Encode(CellCentres& centres, const std::vector<std::vector<float>>& values) {
  centres.bytes.clear();
  centres.facts.clear();
  for (const auto& value : values) {
    const auto encoded = EncodeVector(centres.schema, value);
    if (!encoded) continue;  // too large to add up: it is none
    centres.bytes += encoded->bytes;
    centres.facts.push_back({.inverse_norm = encoded->inverse_norm, .scale = 1});
  }
}

std::string_view BytesOf(const auto& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])};
}

}  // namespace

std::string CellsPath(const std::string& folder, std::uint64_t number) {
  return fmt::format("{}/cells-{}", folder, number);
}

std::uint64_t CellCentres::Hash() const { return Checksum(bytes); }

std::uint32_t CellCentres::Nearest(const QueryVector& row, std::vector<float>& ranks) const {
  ranks.resize(Count());
  row.Rank(bytes.data(), Count(), facts.data(), ranks.data());
  return static_cast<std::uint32_t>(std::ranges::max_element(ranks) - ranks.begin());
}

void CellCentres::Nearest(std::span<const QueryVector> rows,
                          std::vector<std::uint32_t>& nearest) const {
  constexpr std::size_t kMost = 64;
  const std::size_t row_bytes = schema.RowBytes();
  const std::size_t part = std::clamp<std::size_t>(kNearBytes / row_bytes, 1, kMost);
  std::array<float, kMost> ranks{};
  std::vector<float> best(rows.size(), -std::numeric_limits<float>::infinity());
  nearest.assign(rows.size(), 0);
  for (std::size_t from = 0; from < Count(); from += part) {
    const std::size_t count = std::min(part, Count() - from);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      rows[row].Rank(bytes.data() + from * row_bytes, count, facts.data() + from, ranks.data());
      for (std::size_t i = 0; i < count; ++i) {
        if (ranks[i] <= best[row]) continue;
        best[row] = ranks[i];
        nearest[row] = static_cast<std::uint32_t>(from + i);
      }
    }
  }
}

CellCentres FindCentres(const Schema& schema, std::uint64_t count, const VectorOf& vector,
                        const std::function<bool()>& stopped) {
  CellCentres centres;
  centres.schema = ForAssigning(schema);
  if (count < kRowsForCells) return centres;
  const std::size_t cells =
      std::min(kMostCells, 4 * static_cast<std::size_t>(std::sqrt(static_cast<double>(count))));
  const std::size_t sampled = std::min<std::size_t>(count, cells * kSampled);
  std::vector<QueryVector> sample;
  std::vector<std::vector<float>> values;
  for (std::size_t i = 0; i < sampled && !stopped(); ++i) {
    auto its = vector(i * count / sampled);
    auto query = QueryVector::Of(centres.schema, its);
    if (!query) continue;
    sample.push_back(std::move(*query));
    values.push_back(std::move(its));
  }
  std::vector<std::vector<float>> middle;
  for (std::size_t i = 0; i < cells && !values.empty(); ++i) {
    middle.push_back(values[i * values.size() / cells]);
  }
  Encode(centres, middle);
  std::vector<float> ranks;
  for (int round = 0; round < kRounds && centres.Count() > 0 && !stopped(); ++round) {
    std::vector<std::vector<float>> sums(centres.Count(), std::vector<float>(schema.dimension));
    std::vector<std::size_t> sizes(centres.Count());
    // Asked for each: with thousands of numbers a row, one takes milliseconds and a round minutes.
    for (std::size_t i = 0; i < sample.size() && !stopped(); ++i) {
      const std::uint32_t cell = centres.Nearest(sample[i], ranks);
      for (std::size_t d = 0; d < schema.dimension; ++d) sums[cell][d] += values[i][d];
      ++sizes[cell];
    }
    for (std::size_t cell = 0; cell < sums.size(); ++cell) {
      // An empty one begins anew somewhere.
      if (sizes[cell] == 0) sums[cell] = values[cell * 7919 % values.size()];
      const auto size = static_cast<float>(std::max<std::size_t>(1, sizes[cell]));
      for (float& sum : sums[cell]) sum /= size;
    }
    Encode(centres, sums);
  }
  return centres;
}

Result<void> Cells::Write(Disk& disk, const std::string& folder, std::uint64_t number,
                          const CellCentres& centres, const std::vector<std::uint32_t>& ends,
                          std::uint32_t enough) {
  std::string body(BytesOf(ends));
  body.resize((body.size() + 31) / 32 * 32);
  CellsHeader header{};
  std::memcpy(header.magic, layout::kCellsMagic, 8);
  header.version = layout::kVersion;
  header.cells = static_cast<std::uint32_t>(centres.Count());
  header.segment = number;
  header.rows = ends.back();
  header.centres_at = layout::kPage + body.size();
  body += centres.bytes;
  header.facts_at = layout::kPage + body.size();
  body += BytesOf(centres.facts);
  header.enough = enough;
  header.body_hash = Checksum(body);
  header.header_hash =
      Checksum({reinterpret_cast<const char*>(&header), offsetof(CellsHeader, header_hash)});
  std::string page(layout::kPage, '\0');
  std::memcpy(page.data(), &header, sizeof(header));
  return disk.Replace(CellsPath(folder, number), page + body);
}

Result<std::unique_ptr<Cells>> Cells::Open(const std::string& folder, std::uint64_t number,
                                           const Schema& schema, std::uint64_t capacity,
                                           MappedFile::Access access) {
  const std::string path = CellsPath(folder, number);
  auto cells = std::make_unique<Cells>();
  TRY(cells->file_, MappedFile::Open(path, access, layout::kPage));
  const char* base = cells->file_.Data();
  cells->header_ = reinterpret_cast<const CellsHeader*>(base);
  const CellsHeader& h = *cells->header_;
  const bool good = std::memcmp(h.magic, layout::kCellsMagic, 8) == 0 &&
                    h.version == layout::kVersion &&
                    h.header_hash == Checksum({base, offsetof(CellsHeader, header_hash)}) &&
                    h.segment == number && h.rows <= capacity && h.cells > 0 &&
                    h.centres_at >= layout::kPage + h.cells * sizeof(std::uint32_t) &&
                    h.facts_at == h.centres_at + h.cells * OfCentres(schema).RowBytes() &&
                    h.facts_at + h.cells * sizeof(layout::Facts) == cells->file_.Size();
  if (good) {
    cells->centres_hash_ = Checksum({base + h.centres_at, h.cells * OfCentres(schema).RowBytes()});
    return cells;
  }
  return Fail(Code::kInternal, path + " is damaged at offset 0: it is none of the segment");
}

Result<void> Cells::Verify() const {
  const char* body = file_.Data() + layout::kPage;
  const auto* ends = reinterpret_cast<const std::uint32_t*>(body);
  if (Checksum({body, file_.Size() - layout::kPage}) == header_->body_hash &&
      std::is_sorted(ends, ends + header_->cells) && ends[header_->cells - 1] == header_->rows) {
    return {};
  }
  return Fail(Code::kInternal,
              fmt::format("cells-{} is damaged: it has another checksum", header_->segment));
}

CellCentres Cells::Centres(const Schema& schema) const {
  const char* base = file_.Data();
  const auto* facts = reinterpret_cast<const layout::Facts*>(base + header_->facts_at);
  return {.schema = ForAssigning(schema),
          .bytes = std::string(base + header_->centres_at, base + header_->facts_at),
          .facts = {facts, facts + Count()}};
}

void Cells::RankCentres(const QueryVector& query, std::vector<float>& ranks) const {
  const char* base = file_.Data();
  ranks.resize(Count());
  query.Rank(base + header_->centres_at, Count(),
             reinterpret_cast<const layout::Facts*>(base + header_->facts_at), ranks.data());
}

void CellOrder::Add(std::uint32_t segment, const Cells& cells) {
  auto group = std::ranges::find(groups_, cells.CentresHash(), &Group::centres);
  if (group == groups_.end()) {
    groups_.push_back({cells.CentresHash(), {}});
    group = groups_.end() - 1;
  }
  group->segments.emplace_back(segment, &cells);
}

void CellOrder::Sort() {
  std::vector<float> ranks;
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    groups_[group].segments.front().second->RankCentres(query_, ranks);
    for (std::uint32_t cell = 0; cell < ranks.size(); ++cell) {
      heap_.emplace_back(ranks[cell], group, cell);
    }
  }
  std::ranges::make_heap(heap_);
}

Cells::Range Cells::RangeOf(std::uint32_t cell) const {
  const auto* ends = reinterpret_cast<const std::uint32_t*>(file_.Data() + layout::kPage);
  // In a view of long ago all is zero (docs/formats/collections.md); never go past the rows.
  const std::uint64_t to = std::min<std::uint64_t>(ends[cell], header_->rows);
  return {std::min<std::uint64_t>(cell == 0 ? 0 : ends[cell - 1], to), to};
}

}  // namespace samovar
