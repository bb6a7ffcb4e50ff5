// Collection, its part that makes one sealed segment of the rows of several.

#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "collections/collection_job.h"
#include "collections/segment_build.h"

namespace samovar {
namespace {

constexpr auto kNowhere = layout::kNoLink;
constexpr std::uint64_t kOutgrown = 4;  // times as many rows as centres were found with
constexpr std::uint64_t kStale = 32;

// Which cell a row belongs to. In a segment around the same centres it stands in its cell already.
class CellFinder {
 public:
  CellFinder(const Snapshot& at, const CellCentres& centres)
      : at_(at), centres_(centres), hash_(centres.Hash()) {}

  // REQUIRES: rows of one segment come in order, one segment after the other.
  std::uint32_t Of(RowRef row) {
    if (row.segment != segment_) {
      segment_ = row.segment;
      const Cells* cells = at_.Parts().segments[segment_]->RowCells();
      cells_ = cells && cells->CentresHash() == hash_ ? cells : nullptr;
      cell_ = 0;
    }
    if (cells_ && row.row < cells_->Rows()) {
      while (cells_->RangeOf(cell_).to <= row.row) ++cell_;
      return cell_;
    }
    const auto query = QueryVector::Of(centres_.schema, at_.Vector(row));
    return query ? centres_.Nearest(*query, ranks_) : 0;
  }

 private:
  const Snapshot& at_;
  const CellCentres& centres_;
  const std::uint64_t hash_;
  std::uint32_t segment_ = ~std::uint32_t{0};
  const Cells* cells_ = nullptr;
  std::uint32_t cell_ = 0;
  std::vector<float> ranks_;
};

}  // namespace

// The rows that are there, of the segments `sources` of fresh.at.
void Collection::GatherFresh(Fresh& fresh, const std::vector<std::uint32_t>& sources) const {
  const auto& segments = fresh.at.Parts().segments;
  for (const std::uint32_t source : sources) {
    fresh.sources.push_back(segments[source]);
    for (std::uint64_t row = 0; row < fresh.at.RowsOf(source); ++row) {
      if (fresh.at.Visible({source, row})) fresh.rows.push_back({source, row});
    }
  }
}

// Near ones together.
Result<void> Collection::WriteFresh(Fresh& fresh, const CellCentres& centres) {
  const auto& segments = fresh.at.Parts().segments;
  const auto stopped = [this] { return stopping_.load(); };
  const auto ends = SortByCell(fresh, centres);
  std::map<std::uint64_t, std::size_t> place;
  for (const SegmentPtr& source : fresh.sources) {
    place[source->Name().number] = fresh.moved.size();
    fresh.moved.emplace_back(source->Capacity(), kNowhere);
  }
  for (std::size_t i = 0; i < fresh.rows.size(); ++i) {
    const RowRef from = fresh.rows[i];
    const std::uint64_t number = segments[from.segment]->Name().number;
    fresh.moved[place[number]][from.row] = static_cast<std::uint32_t>(i);
  }
  if (fresh.rows.empty()) return {};
  std::optional<Error> unreadable;
  auto row = [&](std::uint64_t index) -> SourceRow {
    const RowRef from = fresh.rows[index];
    const Segment& segment = *segments[from.segment];
    auto attributes = fresh.at.Attributes(from);
    if (!attributes) unreadable = attributes.error();
    return {.id = segment.Id(from.row),
            .attributes = attributes.value_or(""),
            .vector = segment.Vector(from.row),
            .facts = segment.Facts()[from.row]};
  };
  TRY(MakeSealedSegment(disk_, paths_.live, fresh.number, schema_, hash_seed_, fresh.rows.size(),
                        row, stopped));
  if (unreadable) return std::unexpected(*unreadable);
  if (ends.empty()) return {};
  TRY(Cells::Write(disk_, paths_.live, fresh.number, centres, ends));
  fresh.has_cells = true;
  return {};
}

CellCentres Collection::LearnCentres(const Fresh& fresh) const {
  return FindCentres(
      schema_, fresh.rows.size(), [&](std::uint64_t i) { return fresh.at.Vector(fresh.rows[i]); },
      [this] { return stopping_.load(); });
}

// Found anew where there are many more rows than they were found with, and after so many rows that
// it costs little beside sorting them, as what is written may change.
const CellCentres& Collection::CentresFor(const Fresh& fresh) {
  const std::uint64_t rows = fresh.rows.size();
  sorted_rows_ += rows;
  const bool good = centres_ && (rows < kRowsForCells || (rows < kOutgrown * learned_rows_ &&
                                                          sorted_rows_ < kStale * learned_rows_));
  if (!good) {
    centres_ = std::make_unique<CellCentres>(LearnCentres(fresh));
    learned_rows_ = centres_->Count() > 0 ? rows : 0;
    sorted_rows_ = 0;
  }
  return *centres_;
}

// Answers the row behind the last one of each cell; empty where there are none.
std::vector<std::uint32_t> Collection::SortByCell(Fresh& fresh, const CellCentres& centres) const {
  const std::size_t count = fresh.rows.size();
  const auto stopped = [this] { return stopping_.load(); };
  std::vector<std::uint32_t> ends(centres.Count());
  if (ends.empty() || count < kRowsForCells) return {};
  std::vector<std::uint32_t> cell(count);
  CellFinder finder(fresh.at, centres);
  for (std::size_t i = 0; i < count && !stopped(); ++i) {
    cell[i] = finder.Of(fresh.rows[i]);
    ++ends[cell[i]];
  }
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<std::uint32_t> next(ends.size());
  for (std::size_t i = 1; i < next.size(); ++i) next[i] = ends[i - 1];
  std::vector<RowRef> sorted(count);
  for (std::size_t i = 0; i < count && !stopped(); ++i) sorted[next[cell[i]]++] = fresh.rows[i];
  fresh.rows = std::move(sorted);
  return ends;
}

// Its live file and what happened to its rows since fresh.at. While a flush runs, so that what
// comes later is in touched_.
Result<void> Collection::Adopt(Fresh& fresh, std::uint64_t live) {
  if (fresh.rows.empty()) return {};
  const SegmentName name{fresh.number, live};
  TRY(auto file, MappedFile::Open(SegmentPath(paths_.live, fresh.number), MappedFile::Access::kRead,
                                  layout::kPage));
  TRY(MakeLiveFile(disk_, paths_.live, name,
                   reinterpret_cast<const layout::SegmentHeader*>(file.Data())->rows));
  TRY(fresh.segment, Segment::Open(paths_.live, name, schema_, MappedFile::Access::kWrite));
  if (fresh.has_cells) {
    TRY(fresh.segment->OpenCells(paths_.live, schema_, MappedFile::Access::kWrite));
  }
  if (fresh.has_graph) {
    TRY(fresh.segment->OpenGraph(paths_.live, MappedFile::Access::kWrite));
  }
  for (std::size_t i = 0; i < fresh.sources.size(); ++i) {
    for (std::uint64_t row = 0; row < fresh.moved[i].size(); ++row) {
      TRY(CarryRow(fresh, i, row));
    }
  }
  return {};
}

Result<void> Collection::CarryRow(const Fresh& fresh, std::size_t source, std::uint64_t row) const {
  const std::uint32_t to = fresh.moved[source][row];
  if (to == kNowhere) return {};
  const auto& live = fresh.sources[source]->Live(row);
  const std::uint64_t patch = live.patch.load(std::memory_order_acquire);
  if (patch != 0) {
    TRY(const auto generation, fresh.at.Parts().patches->GenerationOf(patch));
    if (generation > fresh.at.Generation()) fresh.segment->Patch(to, patch);
  }
  const std::uint64_t dead = live.dead.load(std::memory_order_acquire);
  if (dead != 0) fresh.segment->Kill(to, dead);
  return {};
}

// What happened to rows since the flush began.
Result<void> Collection::CarryOver(const Fresh& fresh) const {
  if (!fresh.segment) return {};
  for (const Touched& touched : touched_) {
    for (std::size_t i = 0; i < fresh.sources.size(); ++i) {
      if (fresh.sources[i]->Name().number != touched.segment) continue;
      if (touched.row < fresh.moved[i].size()) TRY(CarryRow(fresh, i, touched.row));
    }
  }
  return {};
}

void Collection::Unlink(std::uint64_t number) const {
  ::unlink(SegmentPath(paths_.live, number).c_str());
  ::unlink(CellsPath(paths_.live, number).c_str());
  ::unlink(GraphPath(paths_.live, number).c_str());
}

}  // namespace samovar
