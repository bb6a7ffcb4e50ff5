#pragma once
// PieceWriter: a file written from front to back, in pieces of 2 MiB that begin at multiples of it.
//
// Why      The kernel keeps a piece that is written at once in one huge page where the file system
//          has large folios (ext4 since Linux 6.16, XFS, Btrfs): whoever maps the file has it by
//          one fault instead of 512, and a search has fewer misses of the TLB. But such a page
//          keeps others from the processor while it is filled: Pages::kSmall is for what has to be
//          done while others wait, and is merged soon. Each piece is synced by itself, so that no
//          sync of a log waits behind a hundred megabytes.
// Errors   Those of Disk.
// Threads  One.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "collections/disk.h"

namespace samovar {

enum class Pages : std::uint8_t { kSmall, kHuge };

class PieceWriter {
 public:
  PieceWriter(Disk& disk, int file, const std::string& path, Pages pages)
      : disk_(disk), file_(file), path_(path), pages_(pages) {
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
  const Pages pages_;
  std::string piece_;
  std::uint64_t at_ = 0;
};

}  // namespace samovar
