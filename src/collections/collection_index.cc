// Collection, its part that merges large segments and makes graphs for search, beside all else.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "collections/collection_job.h"
#include "collections/graph_build.h"
#include "collections/graph_file.h"
#include "collections/segment_build.h"

namespace samovar {
namespace {

// Turns without a write that a flush comes earlier than the merge of all, and after which nobody
// looks any more.
constexpr int kTurnsBetween = 2;
constexpr int kTurnsLooked = 60;
constexpr int kTries = 20;  // to choose between two flushes
constexpr std::chrono::seconds kPatience{1};
constexpr std::uint64_t kQuickRows = 200'000;  // to merge all of them is quick

// Whether a generation that is kept has it too (Freeze): another copy would cost its memory again.
bool Shared(const Segment& segment) {
  struct stat file{};
  return ::fstat(segment.File(), &file) == 0 && file.st_nlink > 1;
}

}  // namespace

std::set<std::uint64_t> Collection::Merging() const {
  std::lock_guard lock(write_mutex_);
  return merging_;
}

// Large segments as soon as the smaller ones together have half of the next larger one's rows, or
// one of which a quarter has changed; when nobody writes, all.
std::vector<std::uint32_t> Collection::ChooseMerge(const Snapshot& at) {
  struct Candidate {
    std::uint32_t index;
    std::uint64_t alive;
    bool worn;
  };
  const auto& segments = at.Parts().segments;
  std::vector<Candidate> all;
  for (std::uint32_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = *segments[i];
    if (segment.Header().open) continue;
    std::uint64_t alive = 0;
    for (std::uint64_t row = 0; row < segment.Capacity(); ++row)
      alive += at.Visible({i, row}) ? 1 : 0;
    all.push_back({i, alive, alive * 4 < segment.Filled() * 3});
  }
  std::ranges::sort(all, {}, &Candidate::alive);
  std::vector<std::uint32_t> chosen;
  std::vector<std::uint32_t> best;
  std::uint64_t sum = 0;
  for (const Candidate& candidate : all) {
    const bool fits = sum * 2 >= candidate.alive;
    chosen.push_back(candidate.index);
    sum += candidate.alive;
    if (fits && chosen.size() > 1 && sum > options_.small_rows) best = chosen;
  }
  const bool shared =
      std::ranges::any_of(segments, [](const auto& segment) { return Shared(*segment); });
  const bool idle = !shared && idle_turns_ >= options_.idle_turns + kTurnsBetween;
  if (best.empty() && idle && all.size() > 1 &&
      (sum <= kQuickRows || (sum - all.back().alive) * 16 > sum)) {
    best = chosen;
  }
  for (const Candidate& candidate : all) {
    const bool large = segments[candidate.index]->Capacity() > options_.small_rows;
    if (best.empty() && candidate.worn && large) best = {candidate.index};
  }
  std::ranges::sort(best);
  return best;
}

// What a merge is to read, from now on kept from flushes, which else may take it just now.
std::vector<std::uint32_t> Collection::ReserveMerge(Fresh& fresh) {
  for (int tries = 0; tries < kTries; ++tries) {
    {
      std::unique_lock lock(write_mutex_);
      flushed_.wait_for(lock, kPatience, [this] { return !flushing_ || stopping_; });
      fresh.at = Snapshot(view_, generation_);
    }
    auto sources = ChooseMerge(fresh.at);
    if (sources.empty()) return {};
    std::lock_guard lock(write_mutex_);
    if (stopping_ || failed_) return {};
    if (flushing_ || view_->manifest != fresh.at.Parts().manifest) continue;
    for (const auto i : sources) {
      merging_.insert(fresh.at.Parts().segments[i]->Name().number);
    }
    fresh.number = next_number_++;
    return sources;
  }
  return {};
}

Result<bool> Collection::Merge(Work work) {
  std::lock_guard running(merge_mutex_);
  if (LeavesOff(work)) return false;
  {
    std::lock_guard lock(write_mutex_);
    if (failed_ || stopping_ || merged_ || !merging_.empty() || !graphed_.empty()) return false;
    idle_turns_ = idle_generation_ == generation_ ? idle_turns_ + 1 : 0;
    idle_generation_ = generation_;
    if (idle_turns_ > options_.idle_turns + kTurnsLooked) return false;
  }
  auto fresh = std::make_unique<Fresh>();
  fresh->work = work;
  const auto sources = ReserveMerge(*fresh);
  if (sources.empty()) return false;
  auto done = MergeNow(*fresh, sources);
  std::lock_guard lock(write_mutex_);
  if (!done) {
    Unlink(fresh->number);
    merging_.clear();
    if (fresh->left_off && !stopping_) return false;
    return std::unexpected(done.error());
  }
  merged_ = std::move(fresh);
  return true;
}

Result<void> Collection::MergeNow(Fresh& fresh, const std::vector<std::uint32_t>& sources) {
  GatherFresh(fresh, sources);
  const std::uint64_t rows = fresh.rows.size();
  const bool wants_graph = rows >= options_.graph_rows;
  TRY(disk_.CheckRoom(paths_.live, LeastSegmentBytes(schema_, rows) +
                                       (wants_graph ? LeastGraphBytes(schema_, rows) : 0)));
  SortByOwnCentres(fresh);
  TRY(WriteFresh(fresh));
  if (!wants_graph) return {};
  // What the graph is made over; its own live file comes when it is adopted.
  const SegmentName name{fresh.number, 0};
  TRY(auto file, MappedFile::Open(SegmentPath(paths_.live, fresh.number), MappedFile::Access::kRead,
                                  layout::kPage));
  TRY(MakeLiveFile(disk_, paths_.live, name,
                   reinterpret_cast<const layout::SegmentHeader*>(file.Data())->rows));
  auto segment = Segment::Open(paths_.live, name, schema_, MappedFile::Access::kRead);
  ::unlink(LivePath(paths_.live, name).c_str());
  TRY(segment);
  GraphSeed seed;
  for (std::size_t i = 0; i < fresh.sources.size(); ++i) {
    const Graph* graph = fresh.sources[i]->NearGraph();
    if (graph && (!seed.graph || graph->Rows() > seed.graph->Rows())) {
      seed = {graph, &fresh.moved[i]};
    }
  }
  TRY(BuildGraph(disk_, paths_.live, **segment, schema_, fresh.rows.size(), seed,
                 {.threads = options_.graph_threads, .stopped = [this, &fresh] {
                    if (LeavesOff(fresh.work)) fresh.left_off = true;
                    return fresh.left_off.load();
                  }}));
  fresh.has_graph = true;
  return {};
}

Result<bool> Collection::MakeGraph(Work work) {
  std::lock_guard running(merge_mutex_);
  if (LeavesOff(work)) return false;
  SegmentPtr largest;
  std::uint64_t rows = 0;
  std::uint64_t least = options_.graph_rows;
  ViewPtr view;
  {
    std::lock_guard lock(write_mutex_);
    if (failed_ || stopping_ || !graphed_.empty() || !merging_.empty()) return false;
    view = view_;
    // While there is much to write a flush soon takes a smaller one, and its graph would be for
    // nothing.
    if (view->segments.back()->Capacity() >= options_.most_rows && idle_turns_ == 0) {
      least = std::max(least, options_.small_rows / 2);
    }
  }
  for (const auto& segment : view->segments) {
    if (segment->Header().open || segment->NearGraph()) continue;
    const std::uint64_t filled = segment->Filled();
    if (filled < std::max(rows + 1, least)) continue;
    largest = segment;
    rows = filled;
  }
  if (!largest) return false;
  std::atomic<bool> left_off = false;
  auto stopped = [&] {
    if (LeavesOff(work) || !Shows(*largest)) left_off = true;
    return left_off.load();
  };
  auto built = BuildGraph(disk_, paths_.live, *largest, schema_, rows, {},
                          {.threads = options_.graph_threads, .stopped = stopped});
  if (!built && left_off) return false;
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
