#pragma once
// Segment: a run of rows in shared memory: vectors, ids, attributes, a hash table of the ids, and
// what still changes of them (docs/formats/collections.md).
//
// Why      What is written once can be read by any process without a lock. A row that goes is only
//          marked with the generation that took it, so every generation sees its own rows.
// How      Sealed: written whole, with checksums; a restart maps it again. Open: room for rows that
//          are added at its end, in memory shared but not kept.
// Errors   Open, Verify: kInternal for a file that is not in its format, with name and offset.
// Threads  Readers: any. Of the non-const functions: one writer at a time.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "collections/cells.h"
#include "collections/graph.h"
#include "collections/layout.h"
#include "collections/mapped_file.h"
#include "collections/schema.h"

namespace samovar {

struct SegmentName {
  std::uint64_t number = 0;
  std::uint64_t live = 0;
};
std::string SegmentPath(const std::string& folder, std::uint64_t number);
std::string LivePath(const std::string& folder, SegmentName name);

class Segment {
 public:
  static Result<std::shared_ptr<Segment>> Open(const std::string& folder, SegmentName name,
                                               const Schema& schema, MappedFile::Access access);

  const SegmentName& Name() const { return name_; }
  const layout::SegmentHeader& Header() const { return *header_; }
  std::uint64_t Capacity() const { return header_->rows; }
  // How many rows from the first on may be visible at the generation.
  std::uint64_t CountAt(std::uint64_t generation) const;
  bool Visible(std::uint64_t row, std::uint64_t generation) const {
    const std::uint64_t born = rows_[row].born.load(std::memory_order_acquire);
    if (born == 0 || born > generation) return false;
    const std::uint64_t dead = live_[row].dead.load(std::memory_order_acquire);
    return dead == 0 || dead > generation;
  }
  // Fetches what Visible and a comparison will read.
  void Ahead(std::uint64_t row) const {
    __builtin_prefetch(rows_ + row);
    __builtin_prefetch(live_ + row);
    __builtin_prefetch(facts_ + row);
    const char* vector = Vectors() + row * header_->row_bytes;
    for (std::size_t line = 0; line < std::min<std::size_t>(header_->row_bytes, 512); line += 64) {
      __builtin_prefetch(vector + line);
    }
  }
  std::optional<std::uint64_t> Find(std::string_view id, std::uint64_t generation) const;

  std::string_view Id(std::uint64_t row) const {
    return {base_ + rows_[row].id_at, rows_[row].id_size};
  }
  // As they came with the row.
  std::string_view FirstAttributes(std::uint64_t row) const {
    return {base_ + rows_[row].attributes_at, rows_[row].attributes_size};
  }
  const char* Vectors() const { return base_ + header_->vectors_at; }
  std::string_view Vector(std::uint64_t row) const {
    return {Vectors() + row * header_->row_bytes, header_->row_bytes};
  }
  const layout::Facts* Facts() const { return facts_; }
  const layout::Live& Live(std::uint64_t row) const { return live_[row]; }
  int File() const { return file_.File(); }
  // Of a sealed one, once it was made: null until then.
  const Graph* NearGraph() const { return graph_now_.load(std::memory_order_acquire); }
  const Cells* RowCells() const { return cells_now_.load(std::memory_order_acquire); }
  Result<void> OpenCells(const std::string& folder, const Schema& schema,
                         MappedFile::Access access);
  Result<void> OpenGraph(const std::string& folder, MappedFile::Access access);
  // How many rows there are from the first on; the rest of a sealed segment fills it up.
  std::uint64_t Filled() const;

  // Every checksum of a sealed segment.
  Result<void> Verify() const;

  // For the writer.
  void Kill(std::uint64_t row, std::uint64_t generation) {
    live_[row].dead.store(generation, std::memory_order_release);
  }
  void Patch(std::uint64_t row, std::uint64_t patch) {
    live_[row].patch.store(patch, std::memory_order_release);
  }
  // Of an open one.
  std::uint64_t Used() const { return used_; }
  bool HasRoom(std::uint64_t rows, std::uint64_t heap_bytes) const {
    return used_ + rows <= Capacity() && heap_used_ + heap_bytes <= header_->heap_bytes;
  }
  // REQUIRES: HasRoom. It is visible from `generation` on.
  void Add(std::uint64_t generation, std::string_view id, std::string_view attributes,
           std::string_view vector, layout::Facts facts);

 private:
  Result<void> CheckHeader(const std::string& path, const Schema& schema) const;

  SegmentName name_;
  MappedFile file_;
  MappedFile live_file_;
  char* base_ = nullptr;
  const layout::SegmentHeader* header_ = nullptr;
  layout::Row* rows_ = nullptr;
  layout::Facts* facts_ = nullptr;
  layout::Slot* slots_ = nullptr;
  layout::Live* live_ = nullptr;
  std::uint64_t used_ = 0;
  std::uint64_t heap_used_ = 0;
  std::unique_ptr<const Cells> cells_;  // set once
  std::atomic<const Cells*> cells_now_ = nullptr;
  std::unique_ptr<const Graph> graph_;  // set once
  std::atomic<const Graph*> graph_now_ = nullptr;
};

using SegmentPtr = std::shared_ptr<Segment>;

// A row of one of several segments.
struct RowRef {
  std::uint32_t segment = 0;
  std::uint64_t row = 0;
};

}  // namespace samovar
