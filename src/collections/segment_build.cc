#include "collections/segment_build.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "collections/checksum.h"
#include "collections/piece_writer.h"

namespace samovar {
namespace {

using layout::SegmentHeader;

std::uint64_t RoundUp(std::uint64_t n, std::uint64_t to) { return (n + to - 1) / to * to; }

// The regions in their order: rows, facts, slots, vectors, heap.
SegmentHeader Plan(std::uint64_t number, const Schema& schema, std::uint64_t hash_seed,
                   std::uint64_t rows, std::uint64_t heap_bytes) {
  SegmentHeader h{};
  std::memcpy(h.magic, layout::kSegmentMagic, 8);
  h.version = layout::kVersion;
  h.dimension = schema.dimension;
  h.storage = static_cast<std::uint8_t>(schema.storage);
  h.number = number;
  h.rows = RoundUp(std::max<std::uint64_t>(rows, 1), RowsPerPage(schema));
  h.row_bytes = schema.RowBytes();
  h.hash_seed = hash_seed;
  h.slots = std::bit_ceil(2 * h.rows);
  h.rows_at = layout::kPage;
  h.facts_at = h.rows_at + h.rows * sizeof(layout::Row);
  h.slots_at = h.facts_at + h.rows * sizeof(layout::Facts);
  h.vectors_at = RoundUp(h.slots_at + h.slots * sizeof(layout::Slot), layout::kPage);
  h.heap_at = h.vectors_at + h.rows * h.row_bytes;
  h.heap_bytes = heap_bytes;
  return h;
}

std::string Sealed(SegmentHeader h) {
  std::string page(layout::kPage, '\0');
  h.header_hash =
      Checksum({reinterpret_cast<const char*>(&h), offsetof(SegmentHeader, header_hash)});
  std::memcpy(page.data(), &h, sizeof(h));
  return page;
}

template <class T>
std::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A segment from its second page on, with a checksum of each block. The first is written last.
class CheckedWriter {
 public:
  explicit CheckedWriter(PieceWriter& out) : out_(out) { block_.reserve(layout::kCheckBlock); }
  Result<void> Add(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t part = std::min(bytes.size(), layout::kCheckBlock - block_.size());
      block_.append(bytes.substr(0, part));
      bytes.remove_prefix(part);
      if (block_.size() == layout::kCheckBlock) TRY(Flush());
    }
    return {};
  }
  Result<void> Zeros(std::uint64_t count) {
    static const std::string zeros(layout::kPage, '\0');
    for (; count > 0; count -= std::min<std::uint64_t>(count, zeros.size())) {
      TRY(Add(std::string_view(zeros).substr(0, count)));
    }
    return {};
  }
  // The checksums, at the end.
  Result<void> Finish(SegmentHeader& header) {
    if (!block_.empty()) TRY(Flush());
    const std::string_view checks = BytesOf(checks_);
    header.checks_at = out_.At();
    header.checks_hash = Checksum(checks);
    TRY(out_.Add(checks));
    return out_.Finish();
  }
  std::uint64_t At() const { return out_.At() + block_.size(); }

 private:
  Result<void> Flush() {
    checks_.push_back(Checksum(block_));
    TRY(out_.Add(block_));
    block_.clear();
    return {};
  }
  PieceWriter& out_;
  std::string block_;
  std::vector<std::uint64_t> checks_;
};

// layout::Row without the atomic, which cannot be copied.
struct PlainRow {
  std::uint64_t born;
  std::uint64_t id_at;
  std::uint64_t attributes_at;
  std::uint32_t id_size;
  std::uint32_t attributes_size;
};
static_assert(sizeof(PlainRow) == sizeof(layout::Row));

struct Tables {
  std::vector<PlainRow> rows;
  std::vector<layout::Facts> facts;
  std::vector<std::uint64_t> slots;
};

// Of less worth when `stopped`.
Tables Index(const SegmentHeader& header, std::uint64_t count, const SourceRows& row,
             const auto& stopped) {
  Tables tables;
  tables.rows.resize(header.rows);
  tables.facts.resize(header.rows);
  tables.slots.resize(header.slots);
  std::uint64_t heap = header.heap_at;
  const std::uint64_t mask = header.slots - 1;
  for (std::uint64_t i = 0; i < count && !stopped(i); ++i) {
    const SourceRow source = row(i);
    tables.rows[i] = {.born = 1,
                      .id_at = heap,
                      .attributes_at = heap + source.id.size(),
                      .id_size = static_cast<std::uint32_t>(source.id.size()),
                      .attributes_size = static_cast<std::uint32_t>(source.attributes.size())};
    heap += source.id.size() + source.attributes.size();
    tables.facts[i] = source.facts;
    const std::uint64_t hash = SeededHash(source.id, header.hash_seed);
    std::uint64_t slot = hash & mask;
    while (tables.slots[slot] != 0) slot = (slot + 1) & mask;
    tables.slots[slot] = (hash >> 32) << 32 | (i + 1);
  }
  return tables;
}

Result<void> WriteRegions(CheckedWriter& out, const SegmentHeader& header, std::uint64_t count,
                          const SourceRows& row, const std::function<bool()>& stopped) {
  constexpr std::uint64_t kTurn = 512;
  auto stop = [&](std::uint64_t i) { return i % kTurn == 0 && stopped(); };
  const std::unexpected<Error> ended = Fail(Code::kUnavailable, "the server is stopping");
  {
    const Tables tables = Index(header, count, row, stop);
    if (stopped()) return ended;
    TRY(out.Add(BytesOf(tables.rows)));
    TRY(out.Add(BytesOf(tables.facts)));
    TRY(out.Add(BytesOf(tables.slots)));
  }
  TRY(out.Zeros(header.vectors_at - out.At()));
  for (std::uint64_t i = 0; i < count; ++i) {
    if (stop(i)) return ended;
    TRY(out.Add(row(i).vector));
  }
  TRY(out.Zeros((header.rows - count) * header.row_bytes));
  for (std::uint64_t i = 0; i < count; ++i) {
    if (stop(i)) return ended;
    const SourceRow source = row(i);
    TRY(out.Add(source.id));
    TRY(out.Add(source.attributes));
  }
  return {};
}

// Room for what is written through a mapping, and in memory at once.
Result<void> ReserveInMemory(Disk& disk, int file, std::uint64_t size, const std::string& path,
                             Pages pages) {
  TRY(disk.Reserve(file, size, path));
  if (size < kHugePage) return {};
  static const std::string zeros(kHugePage, '\0');
  for (std::uint64_t at = 0; at < size; at += zeros.size()) {
    const std::string_view part = std::string_view(zeros).substr(0, size - at);
    const bool huge = pages == Pages::kHuge && part.size() == kHugePage;
    TRY(huge ? disk.WriteHuge(file, at, part, path) : disk.Write(file, at, part, path));
  }
  return {};
}

}  // namespace

std::uint64_t RowsPerPage(const Schema& schema) {
  return layout::kPage / std::gcd(schema.RowBytes(), layout::kPage);
}

std::uint64_t LeastSegmentBytes(const Schema& schema, std::uint64_t rows) {
  return rows == 0 ? 0 : Plan(0, schema, 0, rows, 0).heap_at;
}

Result<void> MakeLiveFile(Disk& disk, const std::string& folder, SegmentName name,
                          std::uint64_t rows) {
  const std::string path = LivePath(folder, name);
  UnfinishedFile unfinished(path);
  TRY(Fd file, disk.Create(path));
  TRY(ReserveInMemory(disk, file.Get(), rows * sizeof(layout::Live), path, Pages::kHuge));
  unfinished.Keep();
  return {};
}

Result<void> MakeOpenSegment(Disk& disk, const std::string& folder, SegmentName name,
                             const Schema& schema, std::uint64_t hash_seed, OpenRoom room) {
  SegmentHeader header = Plan(name.number, schema, hash_seed, room.rows, room.heap_bytes);
  header.open = 1;
  const std::string path = SegmentPath(folder, name.number);
  UnfinishedFile unfinished(path);
  TRY(Fd file, disk.Create(path));
  TRY(ReserveInMemory(disk, file.Get(), header.heap_at + header.heap_bytes, path, Pages::kSmall));
  TRY(disk.Write(file.Get(), 0, Sealed(header), path));
  TRY(MakeLiveFile(disk, folder, name, header.rows));
  unfinished.Keep();
  return {};
}

Result<void> MakeSealedSegment(Disk& disk, const std::string& folder, std::uint64_t number,
                               const Schema& schema, std::uint64_t hash_seed, std::uint64_t count,
                               const SourceRows& row, Pages pages,
                               const std::function<bool()>& stopped) {
  std::uint64_t heap_bytes = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const SourceRow source = row(i);
    heap_bytes += source.id.size() + source.attributes.size();
  }
  SegmentHeader header = Plan(number, schema, hash_seed, count, heap_bytes);
  const std::string path = SegmentPath(folder, number);
  UnfinishedFile unfinished(path);
  TRY(Fd file, disk.Create(path));
  PieceWriter pieces(disk, file.Get(), path, pages);
  TRY(pieces.Add(std::string(layout::kPage, '\0')));
  CheckedWriter out(pieces);
  TRY(WriteRegions(out, header, count, row, stopped));
  TRY(out.Finish(header));
  TRY(disk.Write(file.Get(), 0, Sealed(header), path));
  TRY(disk.Sync(file.Get(), path));
  unfinished.Keep();
  return {};
}

}  // namespace samovar
