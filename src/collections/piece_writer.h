#pragma once
// PieceWriter: a file written from front to back, in pieces of 2 MiB that begin at multiples of it.
//
// Why      The kernel keeps a piece that is written at once in one huge page where the file system
//          has large folios (ext4 since Linux 6.16, XFS, Btrfs): whoever maps the file has it by
//          one fault instead of 512, and a search has fewer misses of the TLB. Each piece is synced
//          by itself, so that no sync of a log waits behind a hundred megabytes.
// Errors   Those of Disk.
// Threads  One.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "collections/disk.h"

namespace samovar {

class PieceWriter {
 public:
  PieceWriter(Disk& disk, int file, const std::string& path)
      : disk_(disk), file_(file), path_(path) {
    piece_.reserve(kHugePage);
  }
  Result<void> Add(std::string_view bytes);
  // What is left of the last piece.
  Result<void> Finish();
  std::uint64_t At() const { return at_ + piece_.size(); }

 private:
  Disk& disk_;
  int file_;
  const std::string path_;
  std::string piece_;
  std::uint64_t at_ = 0;
};

}  // namespace samovar
