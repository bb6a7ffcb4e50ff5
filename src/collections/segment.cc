#include "collections/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "collections/checksum.h"

namespace samovar {

using layout::SegmentHeader;

std::string SegmentPath(const std::string& folder, std::uint64_t number) {
  return fmt::format("{}/segment-{}", folder, number);
}

std::string LivePath(const std::string& folder, SegmentName name) {
  return fmt::format("{}/live-{}-{}", folder, name.number, name.live);
}

Result<SegmentPtr> Segment::Open(const std::string& folder, SegmentName name, const Schema& schema,
                                 MappedFile::Access access) {
  auto segment = std::make_shared<Segment>();
  segment->name_ = name;
  const std::string path = SegmentPath(folder, name.number);
  TRY(segment->file_, MappedFile::Open(path, access, layout::kPage));
  segment->base_ = segment->file_.Data();
  segment->header_ = reinterpret_cast<const SegmentHeader*>(segment->base_);
  TRY(segment->CheckHeader(path, schema));
  const SegmentHeader& header = *segment->header_;
  TRY(segment->live_file_,
      MappedFile::Open(LivePath(folder, name), access, header.rows * sizeof(layout::Live)));
  segment->rows_ = reinterpret_cast<layout::Row*>(segment->base_ + header.rows_at);
  segment->facts_ = reinterpret_cast<layout::Facts*>(segment->base_ + header.facts_at);
  segment->slots_ = reinterpret_cast<layout::Slot*>(segment->base_ + header.slots_at);
  segment->live_ = reinterpret_cast<layout::Live*>(segment->live_file_.Data());
  return segment;
}

Result<void> Segment::CheckHeader(const std::string& path, const Schema& schema) const {
  const SegmentHeader& h = *header_;
  auto wrong = [&](std::string_view what) {
    return Fail(Code::kInternal, fmt::format("{} is damaged at offset 0: {}", path, what));
  };
  const std::string_view hashed(base_, offsetof(SegmentHeader, header_hash));
  if (std::memcmp(h.magic, layout::kSegmentMagic, 8) != 0 || h.version != layout::kVersion) {
    return wrong("it is no segment of format 1");
  }
  if (h.header_hash != Checksum(hashed)) return wrong("the header has another checksum");
  if (h.number != name_.number || h.dimension != schema.dimension ||
      h.storage != static_cast<std::uint8_t>(schema.storage) || h.row_bytes != schema.RowBytes()) {
    return wrong("it is that of another collection");
  }
  if (h.heap_at + h.heap_bytes > file_.Size()) return wrong("the file is cut short");
  return {};
}

std::uint64_t Segment::CountAt(std::uint64_t generation) const {
  if (!header_->open) return Capacity();
  // `born` rises along the rows and is 0 behind the last.
  std::uint64_t low = 0;
  std::uint64_t high = Capacity();
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const std::uint64_t born = rows_[middle].born.load(std::memory_order_acquire);
    if (born != 0 && born <= generation) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

std::optional<std::uint64_t> Segment::Find(std::string_view id, std::uint64_t generation) const {
  const std::uint64_t hash = SeededHash(id, header_->hash_seed);
  const std::uint64_t mask = header_->slots - 1;
  for (std::uint64_t i = hash & mask;; i = (i + 1) & mask) {
    const std::uint64_t slot = slots_[i].load(std::memory_order_acquire);
    if (slot == 0) return std::nullopt;
    if (slot >> 32 != hash >> 32) continue;
    const std::uint64_t row = (slot & 0xffffffff) - 1;
    if (Visible(row, generation) && Id(row) == id) return row;
  }
}

Result<void> Segment::OpenCells(const std::string& folder, const Schema& schema,
                                MappedFile::Access access) {
  if (cells_) return {};
  TRY(cells_, Cells::Open(folder, name_.number, schema, Capacity(), access));
  cells_now_.store(cells_.get(), std::memory_order_release);
  return {};
}

Result<void> Segment::OpenGraph(const std::string& folder, MappedFile::Access access) {
  if (graph_) return {};
  TRY(graph_, Graph::Open(folder, *header_, access));
  graph_now_.store(graph_.get(), std::memory_order_release);
  return {};
}

std::uint64_t Segment::Filled() const {
  std::uint64_t count = Capacity();
  while (count > 0 && rows_[count - 1].born.load(std::memory_order_acquire) == 0) --count;
  return count;
}

Result<void> Segment::Verify() const {
  const SegmentHeader& h = *header_;
  const std::uint64_t blocks =
      (h.checks_at - layout::kPage + layout::kCheckBlock - 1) / layout::kCheckBlock;
  const std::string path = fmt::format("segment-{}", h.number);
  if (h.checks_at + blocks * 8 > file_.Size() ||
      Checksum({base_ + h.checks_at, blocks * 8}) != h.checks_hash) {
    return Fail(Code::kInternal,
                fmt::format("{} is damaged at offset {}: its checksums are", path, h.checks_at));
  }
  for (std::uint64_t block = 0; block < blocks; ++block) {
    const std::uint64_t at = layout::kPage + block * layout::kCheckBlock;
    const std::uint64_t size = std::min<std::uint64_t>(layout::kCheckBlock, h.checks_at - at);
    std::uint64_t wanted = 0;
    std::memcpy(&wanted, base_ + h.checks_at + block * 8, 8);
    if (Checksum({base_ + at, size}) != wanted) {
      return Fail(
          Code::kInternal,
          fmt::format("{} is damaged in the {} bytes from offset {}: they have another checksum",
                      path, size, at));
    }
  }
  return {};
}

void Segment::Add(std::uint64_t generation, std::string_view id, std::string_view attributes,
                  std::string_view vector, layout::Facts facts) {
  const std::uint64_t index = used_++;
  layout::Row& row = rows_[index];
  char* heap = base_ + header_->heap_at;
  row.id_at = header_->heap_at + heap_used_;
  row.id_size = static_cast<std::uint32_t>(id.size());
  std::memcpy(heap + heap_used_, id.data(), id.size());
  heap_used_ += id.size();
  row.attributes_at = header_->heap_at + heap_used_;
  row.attributes_size = static_cast<std::uint32_t>(attributes.size());
  std::memcpy(heap + heap_used_, attributes.data(), attributes.size());
  heap_used_ += attributes.size();
  std::memcpy(base_ + header_->vectors_at + index * header_->row_bytes, vector.data(),
              header_->row_bytes);
  facts_[index] = facts;
  row.born.store(generation, std::memory_order_release);
  const std::uint64_t hash = SeededHash(id, header_->hash_seed);
  const std::uint64_t mask = header_->slots - 1;
  std::uint64_t i = hash & mask;
  while (slots_[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & mask;
  slots_[i].store((hash >> 32) << 32 | (index + 1), std::memory_order_release);
}

}  // namespace samovar
