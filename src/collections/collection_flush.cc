// Collection, its part that turns what was collected into sealed segments.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "collections/checkpoint.h"
#include "collections/collection.h"
#include "collections/segment_build.h"

namespace samovar {
namespace {

constexpr auto kNowhere = std::numeric_limits<std::uint32_t>::max();

// How much of a segment is alive at a generation, and how much of it has changed since.
struct Health {
  std::uint64_t alive = 0;
  std::uint64_t changed = 0;
};

Health Examine(const Snapshot& snapshot, std::uint32_t index) {
  Health health;
  const Segment& segment = *snapshot.Parts().segments[index];
  for (std::uint64_t row = 0; row < snapshot.RowsOf(index); ++row) {
    const bool visible = snapshot.Visible({index, row});
    health.alive += visible ? 1 : 0;
    const auto& live = segment.Live(row);
    const bool patched = live.patch.load(std::memory_order_relaxed) != 0;
    const bool dead = live.dead.load(std::memory_order_relaxed) != 0;
    health.changed += dead || patched ? 1 : 0;
  }
  return health;
}

// Whether a generation that is kept has it too (Freeze).
bool Kept(const Segment& segment) {
  struct stat file{};
  return ::fstat(segment.File(), &file) == 0 && file.st_nlink > 0;
}

}  // namespace

struct Collection::Job {
  Snapshot at;
  std::uint64_t number = 0;                       // of the fresh segment
  std::uint64_t next_number = 0;                  // for the checkpoint
  std::vector<std::uint32_t> sources;             // into at.Parts().segments
  std::vector<std::uint32_t> kept;                // sealed ones that stay
  std::vector<RowRef> rows;                       // of the fresh segment, in order
  std::vector<std::vector<std::uint32_t>> moved;  // a source: where each row went
  SegmentPtr fresh;                               // none where no row is left
  bool checkpointed = false;                      // perhaps: a checkpoint may name it
};

bool Collection::WantsFlush() const {
  std::lock_guard lock(write_mutex_);
  if (failed_ || flushing_ || stopping_) return false;
  return OpenSegments() > 1 || log_->Size() > options_.log_bytes;
}

Result<Collection::Job> Collection::Begin() {
  std::lock_guard lock(write_mutex_);
  if (failed_) return Fail(Code::kUnavailable, "a write could not be finished; restart the server");
  if (view_->segments.back()->Used() > 0) TRY(AddOpenSegment({}));
  if (log_first_ != generation_ + 1) TRY(RotateLog());
  Job job;
  job.at = Snapshot(view_, generation_);
  job.number = next_number_++;
  job.next_number = next_number_;
  touched_.clear();
  flushing_ = true;
  return job;
}

// What was collected, and sealed segments that are not much larger than what comes to them: then
// each row is written again only log(n) times. And those of which a quarter has changed.
void Collection::ChooseSources(Job& job) {
  const auto& segments = job.at.Parts().segments;
  std::uint64_t sum = 0;
  struct Candidate {
    std::uint32_t index;
    Health health;
  };
  std::vector<Candidate> sealed;
  for (std::uint32_t i = 0; i + 1 < segments.size(); ++i) {
    const Health health = Examine(job.at, i);
    if (segments[i]->Header().open) {
      job.sources.push_back(i);
      sum += health.alive;
    } else {
      sealed.push_back({i, health});
    }
  }
  std::ranges::sort(sealed, {}, [](const Candidate& c) { return c.health.alive; });
  for (const auto& [index, health] : sealed) {
    const bool small = health.alive <= 2 * sum;
    if (small || health.changed * 4 > segments[index]->Capacity()) {
      job.sources.push_back(index);
      sum += health.alive;
    } else {
      job.kept.push_back(index);
    }
  }
  std::ranges::sort(job.sources);
  std::ranges::sort(job.kept);
}

void Collection::ListRows(Job& job) {
  for (const std::uint32_t source : job.sources) {
    auto& moved = job.moved.emplace_back(job.at.RowsOf(source), kNowhere);
    for (std::uint64_t row = 0; row < moved.size(); ++row) {
      if (!job.at.Visible({source, row})) continue;
      moved[row] = static_cast<std::uint32_t>(job.rows.size());
      job.rows.push_back({source, row});
    }
  }
}

Result<void> Collection::Build(Job& job) {
  ChooseSources(job);
  ListRows(job);
  if (!job.rows.empty()) {
    std::optional<Error> unreadable;
    auto row = [&](std::uint64_t index) -> SourceRow {
      const RowRef from = job.rows[index];
      const Segment& segment = *job.at.Parts().segments[from.segment];
      auto attributes = job.at.Attributes(from);
      if (!attributes) unreadable = attributes.error();
      return {.id = segment.Id(from.row),
              .attributes = attributes.value_or(""),
              .vector = segment.Vector(from.row),
              .facts = segment.Facts()[from.row]};
    };
    TRY(MakeSealedSegment(disk_, paths_.live, job.number, schema_, hash_seed_, job.rows.size(), row,
                          [this] { return stopping_.load(); }));
    if (unreadable) return std::unexpected(*unreadable);
    const SegmentName name{job.number, job.at.Parts().manifest + 1};
    TRY(auto file, MappedFile::Open(SegmentPath(paths_.live, job.number), MappedFile::Access::kRead,
                                    layout::kPage));
    TRY(MakeLiveFile(disk_, paths_.live, name,
                     reinterpret_cast<const layout::SegmentHeader*>(file.Data())->rows));
    TRY(job.fresh, Segment::Open(paths_.live, name, schema_, MappedFile::Access::kWrite));
  }
  TRY(disk_.SyncFolder(paths_.live));
  job.checkpointed = true;
  return WriteCheckpoint(job);
}

Result<void> Collection::WriteCheckpoint(const Job& job) const {
  const std::uint64_t generation = job.at.Generation();
  CheckpointData checkpoint{
      .generation = generation, .next_number = job.next_number, .segments = {}};
  if (job.fresh) checkpoint.segments.push_back({.number = job.number, .dead = {}, .patched = {}});
  for (const std::uint32_t kept : job.kept) {
    const Segment& segment = *job.at.Parts().segments[kept];
    SegmentState state{.number = segment.Name().number, .dead = {}, .patched = {}};
    for (std::uint64_t row = 0; row < segment.Capacity(); ++row) {
      const std::uint64_t dead = segment.Live(row).dead.load(std::memory_order_acquire);
      const std::uint64_t patch = segment.Live(row).patch.load(std::memory_order_acquire);
      if (dead != 0 && dead <= generation) {
        state.dead.push_back(row);
      } else if (patch != 0) {
        TRY(const auto attributes, job.at.Parts().patches->Read(patch, generation));
        if (attributes) state.patched.emplace_back(row, *attributes);
      }
    }
    checkpoint.segments.push_back(std::move(state));
  }
  return disk_.Replace(paths_.kept + "/checkpoint", EncodeCheckpoint(checkpoint));
}

// What happened to rows while they were copied.
void Collection::CarryOver(const Job& job, Segment& fresh) const {
  const auto& segments = job.at.Parts().segments;
  for (const Touched& touched : touched_) {
    for (std::size_t i = 0; i < job.sources.size(); ++i) {
      const Segment& source = *segments[job.sources[i]];
      if (source.Name().number != touched.segment || touched.row >= job.moved[i].size()) continue;
      const std::uint32_t to = job.moved[i][touched.row];
      if (to == kNowhere) continue;
      const auto& live = source.Live(touched.row);
      fresh.Patch(to, live.patch.load(std::memory_order_relaxed));
      fresh.Kill(to, live.dead.load(std::memory_order_relaxed));
    }
  }
}

Result<void> Collection::Install(Job& job) {
  std::lock_guard lock(write_mutex_);
  if (job.fresh) CarryOver(job, *job.fresh);
  const auto& before = job.at.Parts().segments;
  std::vector<SegmentPtr> segments;
  for (const std::uint32_t kept : job.kept) segments.push_back(before[kept]);
  if (job.fresh) segments.push_back(job.fresh);
  // The open ones that came since, and the one that was the last.
  for (std::size_t i = before.size() - 1; i < view_->segments.size(); ++i) {
    segments.push_back(view_->segments[i]);
  }
  TRY(Publish(std::move(segments)));
  flushing_ = false;
  touched_.clear();
  flush_error_.reset();
  ++flushes_;
  flushed_.notify_all();
  return {};
}

void Collection::DropOld(const Job& job) {
  const auto& before = job.at.Parts().segments;
  Retired retired{
      .at = clock_.Now() + options_.keep_views, .manifest = 0, .segments = {}, .patches_below = 0};
  ViewPtr view;
  {
    std::lock_guard lock(write_mutex_);
    view = view_;
    retired.patches_below = view->patches->Number();
  }
  retired.manifest = view->manifest;
  for (const auto& segment : view->segments) {
    for (std::uint64_t row = 0; row < segment->Capacity(); ++row) {
      const std::uint64_t patch = segment->Live(row).patch.load(std::memory_order_relaxed);
      if (patch == 0) continue;
      retired.patches_below = std::min(retired.patches_below, Patches::FileOf(patch));
    }
  }
  for (const std::uint32_t source : job.sources) {
    ::unlink(SegmentPath(paths_.live, before[source]->Name().number).c_str());
    ::unlink(LivePath(paths_.live, before[source]->Name()).c_str());
    ::unlink(GraphPath(paths_.live, before[source]->Name().number).c_str());
    retired.segments.push_back(before[source]);
  }
  if (auto files = LogFiles(paths_.kept)) {
    for (const LogFileName& file : *files) {
      if (file.first <= job.at.Generation()) ::unlink(file.path.c_str());
    }
  }
  std::lock_guard lock(write_mutex_);
  for (const std::string& path : orphans_) ::unlink(path.c_str());
  orphans_.clear();
  retired_.push_back(std::move(retired));
}

void Collection::Abandon(const Job& job, const Error& error) {
  const std::string path = SegmentPath(paths_.live, job.number);
  ::unlink(LivePath(paths_.live, {job.number, job.at.Parts().manifest + 1}).c_str());
  std::lock_guard lock(write_mutex_);
  if (job.checkpointed) {
    orphans_.push_back(path);  // the next checkpoint decides
  } else {
    ::unlink(path.c_str());
  }
  flushing_ = false;
  flush_error_ = error;
  flushed_.notify_all();
}

Result<void> Collection::Flush() {
  std::lock_guard flush(flush_mutex_);
  return FlushAll();
}

Result<void> Collection::FlushAll() {
  auto job = Begin();
  if (!job) {
    std::lock_guard lock(write_mutex_);
    flush_error_ = job.error();
    flushed_.notify_all();
    return std::unexpected(job.error());
  }
  auto done = Build(*job);
  if (done) done = Install(*job);
  if (!done) {
    Abandon(*job, done.error());
    return done;
  }
  DropOld(*job);
  return {};
}

// Whether no other process has it mapped (its reader holds a lock, which ends with it).
bool Collection::Unused(const SegmentPtr& segment) {
  return segment.use_count() == 1 && ::flock(segment->File(), LOCK_EX | LOCK_NB) == 0;
}

void Collection::Expire() {
  std::lock_guard lock(write_mutex_);
  const SteadyTime now = clock_.Now();
  for (auto& old : retired_) {
    std::erase_if(old.segments, Unused);
    if (old.at > now) continue;
    Control().expired.store(old.manifest, std::memory_order_seq_cst);
    // Whoever still maps it reads zeros from now on, and Snapshot::Check tells him.
    for (const auto& segment : old.segments) {
      if (Kept(*segment)) continue;
      const auto& header = segment->Header();
      const auto size = static_cast<off_t>(header.heap_at + header.heap_bytes - layout::kPage);
      constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      ::fallocate(segment->File(), kPunch, layout::kPage, size);
      if (const Graph* graph = segment->NearGraph()) {
        const auto bytes = static_cast<off_t>(graph->Bytes() - layout::kPage);
        ::fallocate(graph->File(), kPunch, layout::kPage, bytes);
      }
    }
    view_->patches->RemoveBelow(old.patches_below);
  }
  std::erase_if(retired_, [&](const Retired& old) {
    return old.at <= now || (old.segments.empty() && old.patches_below <= view_->patches->First());
  });
}

}  // namespace samovar
