// Collection, its part that turns what was collected into sealed segments.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "collections/collection_job.h"
#include "collections/segment_build.h"
#include "os/priority.h"

namespace samovar {
namespace {

// How much of a segment is alive at a generation, and how much of it has changed since.
struct Health {
  std::uint64_t alive = 0;
  std::uint64_t changed = 0;
};

Health Examine(const Snapshot& snapshot, std::uint32_t index) {
  Health health;
  const Segment& segment = *snapshot.Parts().segments[index];
  Turn turn;
  for (std::uint64_t row = 0; row < snapshot.RowsOf(index); ++row) {
    if (row % kRowsATurn == 0) turn.Check();
    const bool visible = snapshot.Visible({index, row});
    health.alive += visible ? 1 : 0;
    const auto& live = segment.Live(row);
    const bool patched = live.patch.load(std::memory_order_relaxed) != 0;
    const bool dead = live.dead.load(std::memory_order_relaxed) != 0;
    health.changed += dead || patched ? 1 : 0;
  }
  return health;
}

bool MostlyGone(const Health& health, std::uint64_t filled, std::uint64_t small_rows) {
  return health.alive * 4 < filled && health.alive <= small_rows;
}

// Whether a generation that is kept has it too (Freeze).
bool Kept(const Segment& segment) {
  struct stat file{};
  return ::fstat(segment.File(), &file) == 0 && file.st_nlink > 0;
}

constexpr std::uint64_t kWorthRoom = 256 << 10;  // bytes of a log
constexpr std::uint64_t kMostRoom = 16 << 20;
constexpr std::uint64_t kWorthSealing = 256;  // rows, when nobody writes

bool Contains(const std::vector<SegmentPtr>& segments, std::uint64_t number) {
  return std::ranges::any_of(
      segments, [number](const auto& segment) { return segment->Name().number == number; });
}

}  // namespace

bool Collection::WantsFlush() const {
  std::lock_guard lock(write_mutex_);
  if (failed_ || flushing_ || stopping_) return false;
  const Segment& last = *view_->segments.back();
  const std::uint64_t patches = (view_->patches->Number() - patch_file_) * layout::kPatchFile;
  return OpenSegments() > 1 || log_->Size() > options_.log_bytes || merged_ != nullptr ||
         patches >= options_.patch_bytes ||
         (last.Capacity() >= options_.most_rows && last.Used() * 2 > last.Capacity()) ||
         (idle_turns_ >= options_.idle_turns && last.Used() >= kWorthSealing);
}

// Files that a writer would wait for are made before anybody is kept from
// writing.
Result<Collection::Job> Collection::Begin() {
  OpenRoom room;
  SegmentName name;
  std::uint64_t log_room = 0;
  {
    std::lock_guard lock(write_mutex_);
    name.number = next_number_++;
    room.rows = next_rows_;
    // More than the last ones took, where there is much to write.
    log_room_ = log_->Size() < kWorthRoom
                    ? 0
                    : std::min(std::max(log_->Size() * 2, log_room_ * 7 / 8), kMostRoom);
    log_room = log_room_;
  }
  room.heap_bytes = room.rows * kHeapARow;
  TRY(MakeOpenSegment(disk_, paths_.live, name, schema_, hash_seed_, room));
  auto spare = Segment::Open(paths_.live, name, schema_, MappedFile::Access::kWrite);
  auto log = CollectionLog::Prepare(disk_, paths_.kept, log_room);
  Result<Job> job = std::unexpected(Error{});
  if (spare && log) {
    job = BeginNow(*spare, *log);
  } else {
    job = std::unexpected(spare ? log.error() : spare.error());
  }
  // Where it was taken it has another name by now.
  ::unlink((paths_.kept + kNextLog).c_str());
  if (!spare || !Shows(**spare)) {
    ::unlink(SegmentPath(paths_.live, name.number).c_str());
    ::unlink(LivePath(paths_.live, name).c_str());
  }
  return job;
}

Result<Collection::Job> Collection::BeginNow(const SegmentPtr& spare, CollectionLog& log) {
  std::lock_guard lock(write_mutex_);
  if (failed_) return Fail(Code::kUnavailable, "a write could not be finished; restart the server");
  if (view_->segments.back()->Used() > 0) {
    auto segments = view_->segments;
    segments.push_back(spare);
    TRY(Publish(std::move(segments)));
    next_rows_ = std::min(next_rows_ * 2, options_.most_rows);
  }
  if (log_first_ != generation_ + 1) {
    TRY(log.Start(paths_.kept, generation_ + 1));
    log_ = std::move(log);
    log_first_ = generation_ + 1;
  }
  Job job;
  job.at = Snapshot(view_, generation_);
  job.fresh.push_back(std::make_unique<Fresh>());
  job.fresh[0]->at = job.at;
  job.fresh[0]->number = next_number_++;
  // While there is much to write it is merged soon, and others wait meanwhile.
  if (idle_turns_ == 0) job.fresh[0]->pages = Pages::kSmall;
  if (merged_) job.fresh.push_back(std::move(merged_));
  job.next_number = next_number_;
  job.patches_end = view_->patches->End();
  patch_file_ = view_->patches->Number();
  touched_.clear();
  flushing_ = true;
  return job;
}

// What was collected, and small sealed segments that are not much larger than what comes to them:
// then each row is written again only log(n) times. And small ones of which a quarter has changed.
// The large ones are for Merge, but for those of which little is left: it waits while others want
// the processors, and what is gone must not pile up so long.
std::vector<std::uint32_t> Collection::ChooseSources(Job& job) {
  const auto& segments = job.at.Parts().segments;
  std::vector<std::uint32_t> sources;
  std::uint64_t sum = 0;
  struct Candidate {
    std::uint32_t index;
    Health health;
  };
  std::vector<Candidate> sealed;
  const auto taken = Merging();
  for (std::uint32_t i = 0; i + 1 < segments.size(); ++i) {
    const std::uint64_t number = segments[i]->Name().number;
    if (segments[i]->Header().open) {
      const Health health = Examine(job.at, i);
      sources.push_back(i);
      sum += health.alive;
    } else if (taken.contains(number)) {
      if (job.fresh.size() < 2 || !Contains(job.fresh[1]->sources, number)) {
        job.kept.push_back(segments[i]);
      }
    } else {
      const Health health = Examine(job.at, i);
      const bool large = segments[i]->Capacity() > options_.small_rows;
      if (large && !MostlyGone(health, segments[i]->Filled(), options_.small_rows)) {
        job.kept.push_back(segments[i]);
      } else {
        sealed.push_back({i, health});
      }
    }
  }
  std::ranges::sort(sealed, {}, [](const Candidate& c) { return c.health.alive; });
  for (const auto& [index, health] : sealed) {
    const bool small = health.alive <= 2 * sum && sum + health.alive <= options_.small_rows;
    if (small || health.changed * 4 > segments[index]->Capacity()) {
      sources.push_back(index);
      sum += health.alive;
    } else {
      job.kept.push_back(segments[index]);
    }
  }
  std::ranges::sort(sources);
  std::ranges::sort(job.kept, {}, [](const auto& segment) { return segment->Name().number; });
  return sources;
}

Result<void> Collection::Build(Job& job) {
  const auto sources = ChooseSources(job);
  GatherFresh(*job.fresh[0], sources);
  TRY(disk_.CheckRoom(paths_.live, LeastSegmentBytes(schema_, job.fresh[0]->rows.size())));
  SortForFlush(*job.fresh[0]);
  TRY(WriteFresh(*job.fresh[0]));
  for (const auto& fresh : job.fresh) TRY(Adopt(*fresh, job.at.Parts().manifest + 1));
  TRY(disk_.SyncFolder(paths_.live));
  TRY(disk_.SyncFolder(paths_.kept));  // the log's name
  job.checkpointed = true;
  return WriteCheckpoint(job);
}

Result<void> Collection::Install(Job& job) {
  std::lock_guard lock(write_mutex_);
  std::vector<SegmentPtr> segments = job.kept;
  for (const auto& fresh : job.fresh) {
    TRY(CarryOver(*fresh));
    if (fresh->segment) segments.push_back(fresh->segment);
  }
  // The open ones that came since, and the one that was the last.
  for (std::size_t i = job.at.Parts().segments.size() - 1; i < view_->segments.size(); ++i) {
    segments.push_back(view_->segments[i]);
  }
  TRY(Publish(std::move(segments)));
  if (job.fresh.size() > 1) {
    merging_.clear();
    merged_fit_ = {job.fresh[1]->number, job.fresh[1]->fit};
  }
  flushing_ = false;
  touched_.clear();
  flush_error_.reset();
  ++flushes_;
  flushed_.notify_all();
  return {};
}

void Collection::DropOld(const Job& job, std::uint64_t patches_below) {
  Retired retired{.at = clock_.Now() + options_.keep_views,
                  .manifest = 0,
                  .segments = {},
                  .patches_below = patches_below};
  {
    std::lock_guard lock(write_mutex_);
    retired.manifest = view_->manifest;
  }
  for (const auto& fresh : job.fresh) {
    for (const auto& source : fresh->sources) {
      Unlink(source->Name().number);
      ::unlink(LivePath(paths_.live, source->Name()).c_str());
      retired.segments.push_back(source);
    }
  }
  if (auto files = LogFiles(paths_.kept)) {
    for (const LogFileName& file : *files) {
      if (file.first <= job.at.Generation()) ::unlink(file.path.c_str());
    }
  }
  std::lock_guard lock(write_mutex_);
  for (const std::uint64_t number : orphans_) Unlink(number);
  orphans_.clear();
  retired_.push_back(std::move(retired));
}

void Collection::Abandon(const Job& job, const Error& error) {
  std::lock_guard lock(write_mutex_);
  for (const auto& fresh : job.fresh) {
    ::unlink(LivePath(paths_.live, {fresh->number, job.at.Parts().manifest + 1}).c_str());
    if (job.checkpointed) {
      orphans_.push_back(fresh->number);  // the next checkpoint decides
    } else {
      Unlink(fresh->number);
    }
  }
  if (job.fresh.size() > 1) merging_.clear();  // to be merged again
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
  DropOld(*job, MovePatches());
  return {};
}

// Whether no other process has it mapped (its reader holds a lock, which ends with it).
bool Collection::Unused(const SegmentPtr& segment) {
  return segment.use_count() == 1 && ::flock(segment->File(), LOCK_EX | LOCK_NB) == 0;
}

void Collection::Expire() {
  std::vector<SegmentPtr> unused;  // let go when no writer waits: to remove a file takes long
  std::lock_guard lock(write_mutex_);
  const SteadyTime now = clock_.Now();
  for (auto& old : retired_) {
    const auto gone = std::ranges::partition(old.segments, std::not_fn(Unused));
    std::ranges::move(gone, std::back_inserter(unused));
    old.segments.erase(gone.begin(), gone.end());
    if (old.at > now) continue;
    Control().expired.store(old.manifest, std::memory_order_seq_cst);
    // Whoever still maps it reads zeros from now on, and Snapshot::Check tells him.
    for (const auto& segment : old.segments) {
      if (Kept(*segment)) continue;
      const auto& header = segment->Header();
      const auto size = static_cast<off_t>(header.heap_at + header.heap_bytes - layout::kPage);
      constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      ::fallocate(segment->File(), kPunch, layout::kPage, size);
      auto free = [](const auto* part) {
        if (!part) return;
        const auto bytes = static_cast<off_t>(part->Bytes() - layout::kPage);
        ::fallocate(part->File(), kPunch, layout::kPage, bytes);
      };
      free(segment->NearGraph());
      free(segment->RowCells());
    }
    view_->patches->RemoveBelow(old.patches_below);
  }
  std::erase_if(retired_, [&](const Retired& old) {
    return old.at <= now || (old.segments.empty() && old.patches_below <= view_->patches->First());
  });
}

}  // namespace samovar
