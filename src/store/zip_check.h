#pragma once
// CheckZip: whether a file has the frame of a whole zip, without reading its contents.
//
// Why      An upload that is cut off or is no zip at all is refused before it is stored; the
//          contents are checked when it is unpacked.
// How      Finds the end-of-central-directory record (and its 64-bit form) and walks the directory
//          it names, which must lie inside the file and hold as many entries as it says. So the
//          memory that a reader of the directory needs is bounded before one reads it, and what
//          says of itself that it unpacks to too much is not unpacked until it does.
// Errors   kTooLarge for what is past the bounds; else kInvalid with Lambda's message and name.
// Source   APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace samovar {

struct ZipBounds {
  std::uint64_t max_files;
  Bytes max_unpacked;
};

// `fd` is open for reading and `size` bytes long. REQUIRES: a regular file.
Result<void> CheckZip(int fd, std::uint64_t size, const ZipBounds& bounds);

// Whether the zip at `path` has an entry of that name. REQUIRES: CheckZip found it whole.
Result<bool> ZipHolds(const std::string& path, std::string_view name);

// Whether some entry's name ends so.
Result<bool> ZipHoldsSuffix(const std::string& path, std::string_view suffix);

// Where the data of a member lies, as its headers say; it may be outside of the file.
struct ZipMember {
  std::uint64_t at = 0;
  std::uint64_t size = 0;
};
// Those of a zip whose numbers fit into 32 bits; others are left out. REQUIRES: as ZipHolds.
Result<std::vector<ZipMember>> ZipMembers(int fd, std::uint64_t size);

// Both InvalidParameterValueException, as Lambda says it.
Error BadZip();
Error TooMuchToUnpack(Bytes max_unpacked);

}  // namespace samovar
