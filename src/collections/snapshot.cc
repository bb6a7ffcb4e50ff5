#include "collections/snapshot.h"

#include "collections/vectors.h"

namespace samovar {
Snapshot::Snapshot(ViewPtr view, std::uint64_t generation)
    : view_(std::move(view)), generation_(generation) {
  counts_.reserve(view_->segments.size());
  for (const auto& segment : view_->segments) counts_.push_back(segment->CountAt(generation));
}

Result<void> Snapshot::Check() const {
  std::atomic_thread_fence(std::memory_order_acquire);
  if (view_->Control().expired.load(std::memory_order_acquire) <= view_->manifest) return {};
  return Fail(Code::kConflict, "this view of the collection is too old; take a new one");
}

std::optional<RowRef> Snapshot::Find(std::string_view id) const {
  for (auto i = static_cast<std::uint32_t>(view_->segments.size()); i-- > 0;) {
    if (auto row = view_->segments[i]->Find(id, generation_)) return RowRef{i, *row};
  }
  return std::nullopt;
}

Result<std::string_view> Snapshot::Attributes(RowRef row) const {
  const Segment& segment = At(row);
  const std::uint64_t patch = segment.Live(row.row).patch.load(std::memory_order_acquire);
  if (patch != 0) {
    TRY(const auto newer, view_->patches->Read(patch, generation_));
    if (newer) return *newer;
  }
  return segment.FirstAttributes(row.row);
}

std::vector<float> Snapshot::Vector(RowRef row) const {
  const Segment& segment = At(row);
  return DecodeVector(view_->schema, segment.Vector(row.row).data(),
                      segment.Facts()[row.row].scale);
}

std::optional<RowRef> Snapshot::Next(std::optional<RowRef> after) const {
  RowRef row = after ? RowRef{after->segment, after->row + 1} : RowRef{0, 0};
  for (; row.segment < counts_.size(); row = {row.segment + 1, 0}) {
    for (; row.row < counts_[row.segment]; ++row.row) {
      if (Visible(row)) return row;
    }
  }
  return std::nullopt;
}

std::uint64_t Snapshot::Count() const {
  std::uint64_t count = 0;
  for (auto row = Next(std::nullopt); row; row = Next(row)) ++count;
  return count;
}

}  // namespace samovar
