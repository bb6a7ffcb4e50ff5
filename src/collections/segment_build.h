#pragma once
// SegmentBuild: makes the files of a segment: an open one with room for rows, or a sealed one of
// rows that exist.
// Errors   What the disk says; files that were begun are left for Collection to sweep.
// Threads  Any, one a segment.

#include <functional>
#include <vector>

#include "collections/disk.h"
#include "collections/piece_writer.h"
#include "collections/segment.h"

namespace samovar {

struct OpenRoom {
  std::uint64_t rows =
      0;  // at most 2^31; rounded up so that the next segment's vectors could follow
  std::uint64_t heap_bytes = 0;
};
Result<void> MakeOpenSegment(Disk& disk, const std::string& folder, SegmentName name,
                             const Schema& schema, std::uint64_t hash_seed, OpenRoom room);

struct SourceRow {
  std::string_view id;
  std::string_view attributes;
  std::string_view vector;
  layout::Facts facts;
};
using SourceRows = std::function<SourceRow(std::uint64_t index)>;

// Durable when it returns, but for the folder's entry. `stopped` is asked now and then:
// kUnavailable.
Result<void> MakeSealedSegment(Disk& disk, const std::string& folder, std::uint64_t number,
                               const Schema& schema, std::uint64_t hash_seed, std::uint64_t count,
                               const SourceRows& row, Pages pages,
                               const std::function<bool()>& stopped);
// Of the file of a sealed segment, without its ids and attributes. No rows need no file.
std::uint64_t LeastSegmentBytes(const Schema& schema, std::uint64_t rows);
// All rows alive, none patched.
Result<void> MakeLiveFile(Disk& disk, const std::string& folder, SegmentName name,
                          std::uint64_t rows);

// Rows to a multiple of which segments are filled up, so that their vectors end at a page.
std::uint64_t RowsPerPage(const Schema& schema);

}  // namespace samovar
