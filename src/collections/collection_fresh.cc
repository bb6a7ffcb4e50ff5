// Collection, its part that makes one sealed segment of the rows of several.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <span>

#include "collections/cell_measure.h"
#include "collections/collection_job.h"
#include "collections/segment_build.h"
#include "os/priority.h"

namespace samovar {
namespace {

constexpr auto kNowhere = layout::kNoLink;
constexpr std::uint64_t kOutgrown = 4;  // times as many rows as centres were found with
constexpr double kFits = 0.75;          // of the fit that centres had when they were found
// One row of so many is not used to find centres, and tells how they fit: rows that lie in no
// clusters are much nearer to centres that were found from them than others are that come.
constexpr std::uint64_t kHeldOut = 16;
constexpr std::uint64_t kFitted = 1024;  // rows at most that tell it

// The cells of rows that stand in them already: in segments around the same centres.
class KnownCells {
 public:
  KnownCells(const Snapshot& at, const CellCentres& centres) : at_(at), hash_(centres.Hash()) {}

  // REQUIRES: rows of one segment come in order, one segment after
  // the other.
  std::optional<std::uint32_t> Find(RowRef row) {
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

 private:
  const Snapshot& at_;
  const std::uint64_t hash_;
  std::uint32_t segment_ = ~std::uint32_t{0};
  const Cells* cells_ = nullptr;
  std::uint32_t cell_ = 0;
};

StoredVector Stored(const Snapshot& at, RowRef row) {
  const Segment& segment = *at.Parts().segments[row.segment];
  return {segment.Vector(row.row).data(), segment.Facts()[row.row]};
}

// Of rows in order, one of so many: those that were held out, but for those that stand around the
// same centres already.
std::vector<RowRef> HeldOut(const Snapshot& at, std::span<const RowRef> rows,
                            const CellCentres& centres) {
  KnownCells known(at, centres);
  std::vector<RowRef> held;
  const std::size_t step = kHeldOut * std::max<std::size_t>(1, rows.size() / (kHeldOut * kFitted));
  for (std::size_t i = 0; i < rows.size(); i += step) {
    if (!known.Find(rows[i])) held.push_back(rows[i]);
  }
  return held;
}

// Which cell each row belongs to: it is looked for where it is not known. Of less worth when
// `stopped`. REQUIRES: as KnownCells.
std::vector<std::uint32_t> CellsOf(const Snapshot& at, std::span<const RowRef> rows,
                                   const CellCentres& centres,
                                   const std::function<bool()>& stopped) {
  std::vector<std::uint32_t> cells(rows.size());
  const Panels panels = centres.ToPanels();
  KnownCells known(at, centres);
  std::vector<std::size_t> places;
  FloatRows unknown(centres.schema.dimension);
  std::array<Panels::Nearest, Panels::kMostAtOnce> nearest;
  auto look = [&] {
    panels.FindNearest(unknown, 0, unknown.Count(), nearest);
    for (std::size_t i = 0; i < places.size(); ++i) cells[places[i]] = nearest[i].vector;
    places.clear();
    unknown.Clear();
  };
  for (std::size_t i = 0; i < rows.size() && !stopped(); ++i) {
    if (const auto cell = known.Find(rows[i])) {
      cells[i] = *cell;
      continue;
    }
    places.push_back(i);
    unknown.Add(at.Parts().schema, Stored(at, rows[i]));
    if (places.size() == panels.AtOnce()) look();
  }
  look();
  return cells;
}

// How much nearer rows are to their centre than to any: 1 is on it, 0 no nearer. Of less worth when
// `stopped`.
double FitOf(const Snapshot& at, std::span<const RowRef> rows, const CellCentres& centres,
             const std::function<bool()>& stopped) {
  if (centres.Count() == 0) return 1;
  const Panels panels = centres.ToPanels();
  const double one = centres.schema.metric == Metric::kL2 ? 0 : 1;  // a distance is `one` - rank
  double near = 0;
  double all = 0;
  FloatRows some(centres.schema.dimension);
  for (; !rows.empty() && !stopped(); rows = rows.subspan(some.Count())) {
    some.Clear();
    for (const RowRef row : rows.first(std::min(rows.size(), panels.AtOnce()))) {
      some.Add(at.Parts().schema, Stored(at, row));
    }
    std::array<float, Panels::kMostAtOnce> best;
    best.fill(-std::numeric_limits<float>::infinity());
    panels.Rank(some, 0, some.Count(), [&](std::size_t row, std::size_t first, const auto& ranks) {
      const std::size_t lanes = std::min(Panels::kLanes, panels.Count() - first);
      for (const float rank : std::span(ranks).first(lanes)) {
        best[row] = std::max(best[row], rank);
        all += one - rank;
      }
    });
    for (std::size_t i = 0; i < some.Count(); ++i) near += one - best[i];
  }
  near *= static_cast<double>(panels.Count());
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
  const auto stopped = Stopped(fresh);
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
                        row, fresh.pages, stopped));
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
      Stopped(fresh));
}

// Found anew from these rows.
void Collection::SortByOwnCentres(Fresh& fresh) const {
  const CellCentres centres = LearnCentres(fresh);
  fresh.fit = FitOf(fresh.at, HeldOut(fresh.at, fresh.rows, centres), centres, Stopped(fresh));
  const auto cell = SortByCell(fresh, centres);
  if (cell.empty()) return;
  auto vector = [&](std::uint64_t i) { return Stored(fresh.at, fresh.rows[i]); };
  const std::uint64_t all = fresh.at.Parts().Control().rows.load(std::memory_order_relaxed);
  fresh.enough = MeasureEnough(schema_, centres, cell, vector, all, Stopped(fresh));
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
  learned_fit_ = FitOf(at, some, *centres_, Stopped());
}

// Around the centres that were found last, until there are many more rows or others.
void Collection::SortForFlush(Fresh& fresh) {
  BorrowCentres(fresh.at);
  const std::uint64_t rows = fresh.rows.size();
  if (rows < kRowsForCells) return;
  if (centres_ && rows < kOutgrown * learned_rows_) {
    const auto come = HeldOut(fresh.at, fresh.rows, *centres_);
    if (come.empty() || FitOf(fresh.at, come, *centres_, Stopped()) >= kFits * learned_fit_) {
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
  const auto stopped = Stopped(fresh);
  if (centres.Count() == 0 || count < kRowsForCells) return {};
  std::vector<std::uint32_t> cell = CellsOf(fresh.at, fresh.rows, centres, stopped);
  std::vector<std::uint32_t> ends(centres.Count());
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
  Turn turn;
  for (std::size_t i = 0; i < fresh.sources.size(); ++i) {
    for (std::uint64_t row = 0; row < fresh.moved[i].size(); ++row) {
      if (row % kRowsATurn == 0) turn.Check();
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
    TRY(const auto record, fresh.at.Parts().patches->Get(patch));
    if (record.generation > fresh.at.Generation()) fresh.segment->Patch(to, patch);
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
