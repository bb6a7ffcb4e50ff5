// Collection, its part that makes one sealed segment of the rows of several.

#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <span>

#include "collections/cell_measure.h"
#include "collections/collection_job.h"
#include "collections/segment_build.h"

namespace samovar {
namespace {

constexpr auto kNowhere = layout::kNoLink;
constexpr std::uint64_t kOutgrown = 4;   // times as many rows as centres were found with
constexpr std::size_t kMostAtOnce = 16;  // rows whose cells are looked for
constexpr std::size_t kBytesAtOnce = 16 << 10;
constexpr double kFits = 0.75;  // of the fit that centres had when they were found
// One row of so many is not used to find centres, and tells how they fit: rows that lie in no
// clusters are much nearer to centres that were found from them than others are that come.
constexpr std::uint64_t kHeldOut = 16;
constexpr std::uint64_t kFitted = 1024;  // rows at most that tell it

// Which cell a row belongs to. In a segment around the same centres it stands in its cell already.
class CellFinder {
 public:
  CellFinder(const Snapshot& at, const CellCentres& centres)
      : at_(at), centres_(centres), hash_(centres.Hash()) {}

  // Where it need not be looked for. REQUIRES: rows of one segment come in order, one segment after
  // the other.
  std::optional<std::uint32_t> Known(RowRef row) {
    if (row.segment != segment_) {
      segment_ = row.segment;
      const Cells* cells = at_.Parts().segments[segment_]->RowCells();
      cells_ = cells && cells->CentresHash() == hash_ ? cells : nullptr;
      cell_ = 0;
    }
    if (!cells_ || row.row >= cells_->Rows()) return std::nullopt;
    while (cells_->RangeOf(cell_).to <= row.row) ++cell_;
    return cell_;
  }
  // So many at once, as they share what is read of the centres.
  std::size_t AtOnce() const {
    return std::clamp<std::size_t>(kBytesAtOnce / centres_.schema.RowBytes(), 1, kMostAtOnce);
  }
  // Of rows of any segments.
  std::span<const std::uint32_t> Find(std::span<const RowRef> rows) {
    queries_.clear();
    for (const RowRef row : rows) {
      // What is too large to be compared goes anywhere.
      auto query = QueryVector::Of(centres_.schema, at_.Vector(row));
      queries_.push_back(query ? std::move(*query) : QueryVector(centres_.schema));
    }
    centres_.Nearest(queries_, nearest_);
    return nearest_;
  }

 private:
  const Snapshot& at_;
  const CellCentres& centres_;
  const std::uint64_t hash_;
  std::uint32_t segment_ = ~std::uint32_t{0};
  const Cells* cells_ = nullptr;
  std::uint32_t cell_ = 0;
  std::vector<QueryVector> queries_;
  std::vector<std::uint32_t> nearest_;
};

// Of rows in order, one of so many: those that were held out, but for those that stand around the
// same centres already.
std::vector<RowRef> HeldOut(const Snapshot& at, std::span<const RowRef> rows,
                            const CellCentres& centres) {
  CellFinder finder(at, centres);
  std::vector<RowRef> held;
  const std::size_t step = kHeldOut * std::max<std::size_t>(1, rows.size() / (kHeldOut * kFitted));
  for (std::size_t i = 0; i < rows.size(); i += step) {
    if (!finder.Known(rows[i])) held.push_back(rows[i]);
  }
  return held;
}

// How much nearer rows are to their centre than to any: 1 is on it, 0 no nearer.
double FitOf(const Snapshot& at, std::span<const RowRef> rows, const CellCentres& centres) {
  std::vector<float> ranks(centres.Count());
  const double one = centres.schema.metric == Metric::kL2 ? 0 : 1;  // a distance is `one` - rank
  double near = 0;
  double all = 0;
  for (const RowRef row : rows) {
    const auto query = QueryVector::Of(centres.schema, at.Vector(row));
    if (!query || ranks.empty()) continue;
    query->Rank(centres.bytes.data(), ranks.size(), centres.facts.data(), ranks.data());
    const double sum = std::accumulate(ranks.begin(), ranks.end(), 0.0);
    near += one - *std::ranges::max_element(ranks);
    all += one - sum / static_cast<double>(ranks.size());
  }
  return all > 0 ? 1 - near / all : 1;
}

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
Result<void> Collection::WriteFresh(Fresh& fresh) {
  const auto& segments = fresh.at.Parts().segments;
  const auto stopped = Stopped();
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
  if (fresh.ends.empty()) return {};
  TRY(Cells::Write(disk_, paths_.live, fresh.number, fresh.centres, fresh.ends, fresh.enough));
  fresh.has_cells = true;
  return {};
}

CellCentres Collection::LearnCentres(const Fresh& fresh) const {
  const std::uint64_t count = fresh.rows.size();
  return FindCentres(
      schema_, count - (count + kHeldOut - 1) / kHeldOut,
      [&](std::uint64_t i) { return fresh.at.Vector(fresh.rows[i + i / (kHeldOut - 1) + 1]); },
      Stopped());
}

// Found anew from these rows.
void Collection::SortByOwnCentres(Fresh& fresh) const {
  const CellCentres centres = LearnCentres(fresh);
  fresh.fit = FitOf(fresh.at, HeldOut(fresh.at, fresh.rows, centres), centres);
  const auto cell = SortByCell(fresh, centres);
  if (cell.empty()) return;
  const auto& segments = fresh.at.Parts().segments;
  auto vector = [&](std::uint64_t i) -> StoredVector {
    const Segment& segment = *segments[fresh.rows[i].segment];
    return {segment.Vector(fresh.rows[i].row).data(), segment.Facts()[fresh.rows[i].row]};
  };
  const std::uint64_t all = fresh.at.Parts().Control().rows.load(std::memory_order_relaxed);
  fresh.enough = MeasureEnough(schema_, centres, cell, vector, all, Stopped());
}

// Those of the largest segment that a merge made, as they were found with the most rows.
void Collection::BorrowCentres(const Snapshot& at) {
  std::uint32_t largest = 0;
  std::uint64_t rows = 0;
  bool there = false;
  const auto& segments = at.Parts().segments;
  for (std::uint32_t i = 0; i < segments.size(); ++i) {
    if (!segments[i]->RowCells() || segments[i]->Capacity() <= options_.small_rows) continue;
    const std::uint64_t its = segments[i]->RowCells()->Rows();
    there = there || segments[i]->Name().number == centres_of_;
    if (its > rows && segments[i]->Name().number != refused_) {
      rows = its;
      largest = i;
    }
  }
  if (rows == 0 || segments[largest]->Name().number == centres_of_) return;
  if (rows <= learned_rows_ && (there || centres_of_ == 0)) return;
  const Cells& cells = *segments[largest]->RowCells();
  centres_ = std::make_unique<CellCentres>(cells.Centres(schema_));
  centres_of_ = segments[largest]->Name().number;
  learned_rows_ = rows;
  learned_enough_ = cells.EnoughPart();
  if (merged_fit_.segment == centres_of_) {
    learned_fit_ = merged_fit_.fit;
    return;
  }
  // Better than rows fit that were held out, but they are no longer known.
  std::vector<RowRef> some;
  const std::uint64_t step = std::max<std::uint64_t>(1, rows / kFitted);
  for (std::uint64_t row = 0; row < rows; row += step) some.push_back({largest, row});
  learned_fit_ = FitOf(at, some, *centres_);
}

// Around the centres that were found last, until there are many more rows or others.
void Collection::SortForFlush(Fresh& fresh) {
  BorrowCentres(fresh.at);
  const std::uint64_t rows = fresh.rows.size();
  if (rows < kRowsForCells) return;
  if (centres_ && rows < kOutgrown * learned_rows_) {
    const auto come = HeldOut(fresh.at, fresh.rows, *centres_);
    if (come.empty() || FitOf(fresh.at, come, *centres_) >= kFits * learned_fit_) {
      SortByCell(fresh, *centres_);
      fresh.enough = learned_enough_;
      return;
    }
    refused_ = centres_of_;
  }
  SortByOwnCentres(fresh);
  centres_of_ = 0;
  centres_ = std::make_unique<CellCentres>(fresh.centres);
  learned_rows_ = fresh.ends.empty() ? 0 : rows;
  learned_enough_ = fresh.enough;
  learned_fit_ = fresh.fit;
}

// Answers the cell of each row in the new order; empty where there are none.
std::vector<std::uint32_t> Collection::SortByCell(Fresh& fresh, const CellCentres& centres) const {
  const std::size_t count = fresh.rows.size();
  const auto stopped = Stopped();
  if (centres.Count() == 0 || count < kRowsForCells) return {};
  std::vector<std::uint32_t> ends(centres.Count());
  std::vector<std::uint32_t> cell(count);
  CellFinder finder(fresh.at, centres);
  std::vector<std::size_t> places;
  std::vector<RowRef> unknown;
  for (std::size_t i = 0; i < count && !stopped(); ++i) {
    if (const auto known = finder.Known(fresh.rows[i])) {
      cell[i] = *known;
    } else {
      places.push_back(i);
      unknown.push_back(fresh.rows[i]);
    }
    if (unknown.size() < finder.AtOnce() && i + 1 < count) continue;
    const auto found = finder.Find(unknown);
    for (std::size_t j = 0; j < found.size(); ++j) cell[places[j]] = found[j];
    places.clear();
    unknown.clear();
  }
  for (const std::uint32_t its : cell) ++ends[its];
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<std::uint32_t> next(ends.size());
  for (std::size_t i = 1; i < next.size(); ++i) next[i] = ends[i - 1];
  std::vector<RowRef> sorted(count);
  for (std::size_t i = 0; i < count && !stopped(); ++i) sorted[next[cell[i]]++] = fresh.rows[i];
  fresh.rows = std::move(sorted);
  fresh.ends = std::move(ends);
  fresh.centres = centres;
  std::ranges::sort(cell);
  return cell;
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
