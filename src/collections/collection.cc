#include "collections/collection.h"

#include <unistd.h>

#include <algorithm>

#include "collections/attributes.h"
#include "collections/collection_job.h"
#include "collections/manifest.h"
#include "collections/segment_build.h"
#include "os/priority.h"

namespace samovar {

Collection::Collection(Disk& disk, const Clock& clock, CollectionPaths paths, const Schema& schema,
                       std::uint64_t hash_seed, CollectionOptions options)
    : disk_(disk),
      clock_(clock),
      paths_(std::move(paths)),
      schema_(schema),
      hash_seed_(hash_seed),
      options_(options),
      next_rows_(options.first_rows) {}

Collection::~Collection() = default;

Snapshot Collection::Latest() const {
  std::lock_guard lock(view_mutex_);
  return {view_, view_->Control().generation.load(std::memory_order_acquire)};
}

CollectionStats Collection::Stats() const {
  std::lock_guard lock(write_mutex_);
  CollectionStats stats{.generation = generation_,
                        .rows = rows_,
                        .segments = view_->segments.size(),
                        .shared_bytes = view_->patches->Bytes(),
                        .log_bytes = log_->Size(),
                        .flushes = flushes_};
  for (const auto& segment : view_->segments) {
    const auto& header = segment->Header();
    std::uint64_t rows = segment->CountAt(generation_);
    while (rows > 0 && segment->Id(rows - 1).empty()) --rows;  // what fills the last page
    stats.stored_rows += rows;
    stats.shared_bytes += header.heap_at + header.heap_bytes + header.rows * sizeof(layout::Live);
    if (const Cells* cells = segment->RowCells()) stats.shared_bytes += cells->Bytes();
    if (const Graph* graph = segment->NearGraph()) {
      stats.graph_rows += graph->Rows();
      stats.shared_bytes += graph->Bytes();
      const layout::GraphAdvice& advice = graph->Advice();
      if (advice.steps == 0) continue;
      stats.candidates = std::max<std::uint64_t>(stats.candidates, advice.width[advice.steps - 1]);
      stats.sample_recall = std::min<double>(stats.sample_recall, advice.found);
    }
  }
  return stats;
}

std::size_t Collection::OpenSegments() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      view_->segments, [](const auto& segment) { return segment->Header().open != 0; }));
}

Result<void> Collection::AddOpenSegment(Need need) {
  OpenRoom room{.rows = std::max(next_rows_, need.rows), .heap_bytes = 0};
  room.heap_bytes = std::max(room.rows * kHeapARow, need.heap);
  const SegmentName name{next_number_, 0};
  TRY(MakeOpenSegment(disk_, paths_.live, name, schema_, hash_seed_, room));
  UnfinishedFile rows(SegmentPath(paths_.live, name.number));
  UnfinishedFile live(LivePath(paths_.live, name));
  TRY(auto segment, Segment::Open(paths_.live, name, schema_, MappedFile::Access::kWrite));
  auto segments = view_->segments;
  segments.push_back(std::move(segment));
  TRY(Publish(std::move(segments)));
  ++next_number_;
  next_rows_ = std::min(next_rows_ * 2, options_.most_rows);
  rows.Keep();
  live.Keep();
  return {};
}

Result<void> Collection::RotateLog() {
  TRY(log_, CollectionLog::Create(disk_, paths_.kept, generation_ + 1));
  log_first_ = generation_ + 1;
  return {};
}

Result<void> Collection::Publish(std::vector<SegmentPtr> segments) {
  if (recovering_) {
    auto view = std::make_shared<View>(*view_);
    view->segments = std::move(segments);
    view_ = view;
    return {};
  }
  ManifestData manifest{
      .number = view_->manifest + 1, .first_generation = generation_, .segments = {}};
  for (const auto& segment : segments) {
    manifest.segments.push_back(
        {segment->Name(), segment->NearGraph() != nullptr, segment->RowCells() != nullptr});
  }
  const std::string path = ManifestPath(paths_.live, manifest.number);
  {
    // Seen by nobody before its number is; a crash makes another.
    UnfinishedFile unfinished(path);
    TRY(Fd file, disk_.Create(path));
    TRY(disk_.Write(file.Get(), 0, EncodeManifest(manifest), path));
    unfinished.Keep();
  }
  auto view = std::make_shared<View>(*view_);
  view->manifest = manifest.number;
  view->first_generation = generation_;
  view->segments = std::move(segments);
  const std::string old = ManifestPath(paths_.live, view_->manifest);
  {
    std::lock_guard lock(view_mutex_);
    view_ = view;
  }
  Control().manifest.store(manifest.number, std::memory_order_release);
  ::unlink(old.c_str());
  return {};
}

void Collection::Show(std::uint64_t generation) {
  generation_ = generation;
  if (recovering_) return;
  Control().rows.store(rows_, std::memory_order_relaxed);
  Control().generation.store(generation, std::memory_order_release);
}

Result<Ack> Collection::Apply(std::uint64_t generation, std::string_view body) {
  Ack ack;
  ack.generation = generation;
  auto done = ReadBatch(schema_, body,
                        [&](const Change& change) { return ApplyChange(generation, change, ack); });
  if (!done) {
    // Rehearse() leaves no reason for it. It is in the log and half in memory, where nobody sees
    // it: only a restart can show it whole.
    failed_ = true;
    return std::unexpected(done.error());
  }
  Show(generation);
  return ack;
}

Result<void> Collection::ApplyChange(std::uint64_t generation, const Change& change, Ack& ack) {
  if (change.kind == Change::Kind::kUpdate) return ApplyUpdate(generation, change, ack);
  const auto& segments = view_->segments;
  const auto old = Snapshot(view_, generation).Find(change.id);
  if (old) {
    segments[old->segment]->Kill(old->row, generation);
    Touch(*old);
    --rows_;
  }
  if (change.kind == Change::Kind::kDelete) {
    if (old) {
      ++ack.deleted;
    } else {
      ack.missing.emplace_back(change.id);
    }
    return {};
  }
  segments.back()->Add(generation, change.id, change.text, change.vector,
                       {change.inverse_norm, change.scale});
  ++rows_;
  ++ack.put;
  return {};
}

Result<void> Collection::ApplyUpdate(std::uint64_t generation, const Change& change, Ack& ack) {
  const Snapshot now(view_, generation);
  const auto row = now.Find(change.id);
  if (!row) {
    ack.missing.emplace_back(change.id);
    return {};
  }
  TRY(const auto before, now.Attributes(*row));
  TRY(const std::string after, MergeAttributes(before, change.text));
  Segment& segment = *view_->segments[row->segment];
  const std::uint64_t previous = segment.Live(row->row).patch.load(std::memory_order_relaxed);
  TRY(const std::uint64_t patch, view_->patches->Append(disk_, generation, previous, after));
  segment.Patch(row->row, patch);
  Touch(*row);
  ++ack.updated;
  return {};
}

void Collection::Touch(RowRef row) {
  if (flushing_) touched_.push_back({view_->segments[row.segment]->Name().number, row.row});
}

std::function<bool()> Collection::Stopped() const {
  return [this, turn = Turn()]() mutable {
    turn.Check();
    return stopping_.load(std::memory_order_relaxed);
  };
}

std::function<bool()> Collection::Stopped(const Fresh& fresh) const {
  return [this, &fresh, turn = Turn()]() mutable {
    turn.Check();
    if (LeavesOff(fresh.work)) fresh.left_off = true;
    return fresh.left_off.load();
  };
}

std::size_t Collection::SealedSegments() const {
  std::lock_guard lock(view_mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(
      view_->segments, [](const auto& segment) { return segment->Header().open == 0; }));
}

void Collection::StopFlush() {
  std::lock_guard lock(write_mutex_);
  stopping_ = true;
  flushed_.notify_all();
}

void Collection::MarkDeleted() {
  StopFlush();
  const std::scoped_lock ended(flush_mutex_, merge_mutex_);
  std::lock_guard lock(write_mutex_);
  failed_ = true;
  Control().state.store(static_cast<std::uint64_t>(layout::State::kDeleted),
                        std::memory_order_release);
}

}  // namespace samovar
