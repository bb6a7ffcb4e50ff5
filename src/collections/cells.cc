#include "collections/cells.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "collections/checksum.h"

namespace samovar {
namespace {

using layout::CellsHeader;

Schema OfCentres(const Schema& schema) { return {schema.dimension, schema.metric, Storage::kF32}; }
std::string_view BytesOf(const auto& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])};
}

}  // namespace

std::string CellsPath(const std::string& folder, std::uint64_t number) {
  return fmt::format("{}/cells-{}", folder, number);
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
  header.centres_hash = Checksum(centres.bytes);  // as CellCentres::Hash
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
  if (good) return cells;
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
  return {.schema = CellCentres::SchemaFor(schema),
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
    heap_.reserve(heap_.size() + ranks.size());
    for (std::uint32_t cell = 0; cell < ranks.size(); ++cell) {
      heap_.push_back({ranks[cell], group, cell});
    }
  }
  std::ranges::make_heap(heap_, {}, &Each::rank);
}

Cells::Range Cells::RangeOf(std::uint32_t cell) const {
  const auto* ends = reinterpret_cast<const std::uint32_t*>(file_.Data() + layout::kPage);
  // In a view of long ago all is zero (docs/formats/collections.md); never go past the rows.
  const std::uint64_t to = std::min<std::uint64_t>(ends[cell], header_->rows);
  return {std::min<std::uint64_t>(cell == 0 ? 0 : ends[cell - 1], to), to};
}

}  // namespace samovar
