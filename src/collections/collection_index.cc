// Collection, its part that makes graphs for search.

#include <unistd.h>

#include <algorithm>

#include "collections/collection.h"
#include "collections/graph_build.h"

namespace samovar {

Result<bool> Collection::MakeGraph() {
  SegmentPtr largest;
  std::uint64_t rows = 0;
  ViewPtr view;
  {
    std::lock_guard lock(write_mutex_);
    if (failed_ || stopping_ || !graphed_.empty()) return false;
    view = view_;
  }
  for (const auto& segment : view->segments) {
    if (segment->Header().open || segment->NearGraph()) continue;
    const std::uint64_t filled = segment->Filled();
    if (filled < std::max(rows + 1, options_.graph_rows)) continue;
    largest = segment;
    rows = filled;
  }
  if (!largest) return false;
  auto stopped = [this, &largest] { return stopping_.load() || !Shows(*largest); };
  auto built = BuildGraph(disk_, paths_.live, *largest, schema_, rows, {},
                          {.threads = options_.graph_threads, .stopped = stopped});
  if (!built && stopped()) return false;
  TRY(built);
  std::lock_guard lock(write_mutex_);
  graphed_.push_back(std::move(largest));
  return true;
}

bool Collection::Shows(const Segment& segment) const {
  std::lock_guard lock(view_mutex_);
  return std::ranges::any_of(view_->segments,
                             [&](const auto& shown) { return shown.get() == &segment; });
}

bool Collection::HasGraphToShow() const {
  std::lock_guard lock(write_mutex_);
  return !graphed_.empty();
}

Result<void> Collection::ShowGraphs() {
  std::lock_guard lock(write_mutex_);
  if (failed_) return {};
  bool shown = false;
  for (const SegmentPtr& segment : graphed_) {
    if (Shows(*segment)) {
      TRY(segment->OpenGraph(paths_.live, MappedFile::Access::kWrite));
      shown = true;
    } else {  // its rows went into another meanwhile
      ::unlink(GraphPath(paths_.live, segment->Name().number).c_str());
    }
  }
  if (shown) TRY(Publish(view_->segments));
  graphed_.clear();
  return {};
}

}  // namespace samovar
