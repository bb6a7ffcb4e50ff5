// Collection, its part that keeps newer attributes from filling the memory.

#include <algorithm>
#include <map>

#include "collections/collection_job.h"
#include "os/priority.h"

namespace samovar {
namespace {

constexpr std::uint64_t kWorthMoving = 4;  // one part of so many of the oldest files, or less
constexpr std::size_t kMovedAtOnce = 64;   // rows that writers wait for

}  // namespace

// Their memory goes back in the order in which it was filled, so one row that changed once would
// keep all that others have brought since. Of the oldest files of which less than a quarter is in
// use, that is written anew at the end: a third more writing at most. Answers which file is the
// first in use; where the disk refuses, more files stay until a flush can.
std::uint64_t Collection::MovePatches() {
  ViewPtr view;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  {
    std::lock_guard lock(write_mutex_);
    view = view_;
    first = view->patches->First();
    if (!retired_.empty()) first = std::max(first, retired_.back().patches_below);
    last = view->patches->Number();
    move_error_.reset();
  }
  if (first >= last) return last;
  std::map<std::uint64_t, std::uint64_t> used;  // bytes of a file
  std::vector<RowRef> rows;
  auto done = FindPatches(*view, used, rows);
  std::uint64_t below = first;
  std::uint64_t sum = 0;
  for (std::uint64_t file = first; done && file < last; ++file) {
    const auto bytes = used.find(file);
    sum += bytes == used.end() ? 0 : bytes->second;
    if (sum * kWorthMoving < (file + 1 - first) * layout::kPatchFile) below = file + 1;
  }
  Turn turn;
  for (std::span<const RowRef> left = rows; done && !left.empty() && below > first;) {
    const auto some = left.first(std::min(left.size(), kMovedAtOnce));
    done = MovePatchesOf(some, *view, below);
    left = left.subspan(some.size());
    turn.Check();
  }
  if (!done) {
    std::lock_guard lock(write_mutex_);
    move_error_ = done.error();
    return first;
  }
  const auto lowest = used.lower_bound(below);
  return lowest == used.end() ? last : std::min(last, lowest->first);
}

// What is in use of each file, and by which rows.
Result<void> Collection::FindPatches(const View& view, std::map<std::uint64_t, std::uint64_t>& used,
                                     std::vector<RowRef>& rows) {
  Turn turn;
  for (std::uint32_t i = 0; i < view.segments.size(); ++i) {
    const Segment& segment = *view.segments[i];
    for (std::uint64_t row = 0; row < segment.Capacity(); ++row) {
      if (row % kRowsATurn == 0) turn.Check();
      const std::uint64_t patch = segment.Live(row).patch.load(std::memory_order_acquire);
      if (patch == 0) continue;
      TRY(const auto record, view.patches->Get(patch));
      used[Patches::FileOf(patch)] += Patches::SizeOf(record.attributes.size());
      rows.push_back({i, row});
    }
  }
  return {};
}

Result<void> Collection::Moved() const {
  std::lock_guard lock(write_mutex_);
  if (move_error_) return std::unexpected(*move_error_);
  return {};
}

// Those that lie in files below `below`.
Result<void> Collection::MovePatchesOf(std::span<const RowRef> rows, const View& view,
                                       std::uint64_t below) {
  std::lock_guard lock(write_mutex_);
  for (const RowRef row : rows) {
    Segment& segment = *view.segments[row.segment];
    const std::uint64_t patch = segment.Live(row.row).patch.load(std::memory_order_relaxed);
    if (Patches::FileOf(patch) >= below) continue;
    TRY(const auto record, view.patches->Get(patch));
    // The same generation, and the same before it: nobody sees a difference.
    TRY(const std::uint64_t moved,
        view.patches->Append(disk_, record.generation, record.previous, record.attributes));
    segment.Patch(row.row, moved);
  }
  return {};
}

}  // namespace samovar
