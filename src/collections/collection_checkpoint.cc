// Collection, its part that writes checkpoints.

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "collections/checkpoint.h"
#include "collections/collection_job.h"
#include "os/priority.h"

namespace samovar {
namespace {

constexpr std::uint64_t kTakenIn = 2;  // files up to so many times as large as what is written

std::uint64_t PatchedBytes(const CheckpointData& checkpoint) {
  std::uint64_t bytes = 0;
  for (const SegmentState& segment : checkpoint.segments) {
    for (const auto& [row, attributes] : segment.patched) bytes += 16 + attributes.size();
  }
  return bytes;
}

}  // namespace

// What was sealed at job.at, without the patches that files have.
Result<CheckpointData> Collection::Describe(const Job& job, const Covered& covered) const {
  const std::uint64_t generation = job.at.Generation();
  CheckpointData checkpoint{
      .generation = generation, .next_number = job.next_number, .files = {}, .segments = {}};
  std::vector<SegmentPtr> segments = job.kept;
  for (const auto& fresh : job.fresh) {
    if (fresh->segment) segments.push_back(fresh->segment);
  }
  Turn turn;
  for (const auto& segment : segments) {
    SegmentState state{.number = segment->Name().number, .dead = {}, .patched = {}};
    const std::uint64_t end = covered.segments.contains(state.number) ? covered.end : 0;
    for (std::uint64_t row = 0; row < segment->Capacity(); ++row) {
      if (row % kRowsATurn == 0) turn.Check();
      const std::uint64_t dead = segment->Live(row).dead.load(std::memory_order_acquire);
      const std::uint64_t patch = segment->Live(row).patch.load(std::memory_order_acquire);
      if (dead != 0 && dead <= generation) {
        state.dead.push_back(row);
      } else if (patch != 0 && patch >= end) {
        TRY(const auto attributes, job.at.Parts().patches->Read(patch, generation));
        if (attributes) state.patched.emplace_back(row, *attributes);
      }
    }
    checkpoint.segments.push_back(std::move(state));
  }
  return checkpoint;
}

// Takes in the files that are not much larger: then each change is written again only log(n) times.
Result<void> Collection::MoveToFile(const Job& job, CheckpointData& checkpoint,
                                    AttributesFiles& files) const {
  std::uint64_t bytes = PatchedBytes(checkpoint);
  const std::size_t before = files.files.size();
  while (!files.files.empty() && files.files.back().bytes <= kTakenIn * bytes) {
    bytes += files.files.back().bytes;
    files.covered = std::move(files.files.back().before);
    files.files.pop_back();
  }
  if (files.files.size() < before) {
    TRY(checkpoint, Describe(job, files.covered));
  }
  CheckpointData moved{.generation = checkpoint.generation,
                       .next_number = checkpoint.next_number,
                       .files = {},
                       .segments = {}};
  Covered covered{.end = job.patches_end, .segments = {}};
  for (SegmentState& segment : checkpoint.segments) {
    covered.segments.insert(segment.number);
    if (segment.patched.empty()) continue;
    moved.segments.push_back(
        {.number = segment.number, .dead = {}, .patched = std::exchange(segment.patched, {})});
  }
  const std::uint64_t number = job.fresh[0]->number;
  const std::string text = EncodeCheckpoint(moved);
  TRY(disk_.Replace(AttributesPath(paths_.kept, number), text));
  files.files.push_back({number, text.size(), std::move(files.covered)});
  files.covered = std::move(covered);
  return {};
}

Result<void> Collection::WriteCheckpoint(const Job& job) {
  AttributesFiles files = attributes_;
  TRY(CheckpointData checkpoint, Describe(job, files.covered));
  if (PatchedBytes(checkpoint) > options_.inline_bytes) {
    stray_attributes_.push_back(job.fresh[0]->number);
    TRY(MoveToFile(job, checkpoint, files));
  }
  for (const AttributesFile& file : files.files) checkpoint.files.push_back(file.number);
  TRY(disk_.Replace(paths_.kept + "/checkpoint", EncodeCheckpoint(checkpoint)));
  for (const AttributesFile& file : attributes_.files) stray_attributes_.push_back(file.number);
  attributes_ = std::move(files);
  for (const std::uint64_t number : stray_attributes_) {
    if (std::ranges::find(checkpoint.files, number) != checkpoint.files.end()) continue;
    ::unlink(AttributesPath(paths_.kept, number).c_str());
  }
  stray_attributes_.clear();
  return {};
}

}  // namespace samovar
