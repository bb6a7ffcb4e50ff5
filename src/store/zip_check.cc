#include "store/zip_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "os/fd.h"

namespace samovar {
namespace {

constexpr std::uint64_t kEndSize = 22;
constexpr std::uint64_t kLocatorSize = 20;
constexpr std::uint64_t kEnd64Size = 56;
constexpr std::uint64_t kMaxComment = 0xFFFF;
constexpr std::uint64_t kEntrySize = 46;

std::optional<std::string> ReadAt(int fd, std::uint64_t offset, std::uint64_t size) {
  std::string bytes(size, '\0');
  std::uint64_t done = 0;
  while (done < size) {
    const auto n = pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (n <= 0) return std::nullopt;
    done += static_cast<std::uint64_t>(n);
  }
  return bytes;
}

std::uint64_t Number(std::string_view bytes, std::size_t at, int size) {
  std::uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  }
  return value;
}

struct Directory {
  std::uint64_t entries, size, offset, limit;  // it must end at or before `limit`
};

// The record that ends the file: the last one whose comment reaches exactly to the end.
std::optional<std::uint64_t> FindEnd(std::string_view tail) {
  for (auto at = tail.size() - kEndSize + 1; at-- > 0;) {
    if (tail.substr(at, 4) != std::string_view("PK\5\6", 4)) continue;
    if (at + kEndSize + Number(tail, at + 20, 2) == tail.size()) return at;
  }
  return std::nullopt;
}

std::optional<Directory> ReadDirectory(int fd, std::uint64_t size) {
  const auto tail_size = std::min(size, kEndSize + kMaxComment);
  const auto tail = ReadAt(fd, size - tail_size, tail_size);
  if (!tail) return std::nullopt;
  const auto at = FindEnd(*tail);
  if (!at) return std::nullopt;
  const auto end = size - tail_size + *at;
  Directory found{Number(*tail, *at + 10, 2), Number(*tail, *at + 12, 4),
                  Number(*tail, *at + 16, 4), end};
  // 64-bit: a locator right before the record tells where the larger record is. Some writers add it
  // though every number would fit; the directory then ends before the larger record.
  if (end < kLocatorSize + kEnd64Size) return found;
  const auto locator = ReadAt(fd, end - kLocatorSize, kLocatorSize);
  if (!locator) return std::nullopt;
  if (!locator->starts_with(std::string_view("PK\6\7", 4))) return found;
  const auto where = Number(*locator, 8, 8);
  if (where > end - kLocatorSize - kEnd64Size) return std::nullopt;
  const auto record = ReadAt(fd, where, kEnd64Size);
  if (!record || !record->starts_with(std::string_view("PK\6\6", 4))) return std::nullopt;
  return Directory{Number(*record, 32, 8), Number(*record, 40, 8), Number(*record, 48, 8), where};
}

// Walks the directory's entries, a window at a time: they must fill it exactly and be as many as
// it says. Returns whether that is so. `visit` gets where each entry's name is, and what precedes
// it.
template <class Visit>
bool WalkDirectory(int fd, std::uint64_t start, const Directory& directory, Visit visit) {
  constexpr std::uint64_t kWindow = 1 << 18;
  std::uint64_t at = 0, count = 0, window_at = 0;
  std::string window;
  while (at < directory.size) {
    if (directory.size - at < kEntrySize) return false;
    if (at < window_at || at + kEntrySize > window_at + window.size()) {
      auto read = ReadAt(fd, start + at, std::min(kWindow, directory.size - at));
      if (!read) return false;
      window = std::move(*read);
      window_at = at;
    }
    const auto entry = std::string_view(window).substr(at - window_at, kEntrySize);
    if (!entry.starts_with(std::string_view("PK\1\2", 4))) return false;
    visit(start + at + kEntrySize, entry);
    at += kEntrySize + Number(entry, 28, 2) + Number(entry, 30, 2) + Number(entry, 32, 2);
    ++count;
  }
  return at == directory.size && count == directory.entries;
}

// What the entry says that it unpacks to; where 32 bits do not hold it, the extra field tells.
std::uint64_t UnpackedSize(int fd, std::uint64_t name, std::string_view entry) {
  constexpr std::uint64_t kLarge = 0xFFFFFFFF;
  const auto told = Number(entry, 24, 4);
  if (told != kLarge) return told;
  const auto extra = ReadAt(fd, name + Number(entry, 28, 2), Number(entry, 30, 2));
  for (std::size_t at = 0; extra && at + 12 <= extra->size();) {
    if (Number(*extra, at, 2) == 1) return Number(*extra, at + 4, 8);
    at += 4 + Number(*extra, at + 2, 2);
  }
  return told;
}

}  // namespace

Error BadZip() {
  return Error{Code::kInvalid,
               "Could not unzip uploaded file. Please check your file, then try to upload again.",
               "InvalidParameterValueException"};
}

Error TooMuchToUnpack(Bytes max_unpacked) {
  return Error{Code::kTooLarge,
               fmt::format("Unzipped size must be smaller than {} bytes", max_unpacked.count),
               "InvalidParameterValueException"};
}

Result<void> CheckZip(int fd, std::uint64_t size, const ZipBounds& bounds) {
  if (size < kEndSize) return std::unexpected(BadZip());
  const auto found = ReadDirectory(fd, size);
  if (!found) return std::unexpected(BadZip());
  if (found->entries == 0) {
    return Fail(Code::kInvalid, "Uploaded file must be a non-empty zip",
                "InvalidParameterValueException");
  }
  if (found->size > found->limit || found->offset > found->limit - found->size ||
      found->size / kEntrySize < found->entries) {
    return std::unexpected(BadZip());
  }
  if (found->entries > bounds.max_files) {
    return Fail(Code::kTooLarge,
                fmt::format("The package has more than {} files.", bounds.max_files),
                "InvalidParameterValueException");
  }
  // Bytes may stand before the archive (self-extracting zips); then offsets are counted from its
  // start. The directory always ends where the record begins.
  bool fits = true;
  std::uint64_t left = bounds.max_unpacked.count;
  const auto add = [&](std::uint64_t name, std::string_view entry) {
    const auto unpacked = fits ? UnpackedSize(fd, name, entry) : 0;
    fits = fits && unpacked <= left;
    left -= std::min(unpacked, left);
  };
  if (!WalkDirectory(fd, found->limit - found->size, *found, add)) {
    return std::unexpected(BadZip());
  }
  return fits ? Result<void>() : std::unexpected(TooMuchToUnpack(bounds.max_unpacked));
}

namespace {

// Whether `is_it(descriptor, where the name is, its length)` holds for some entry.
template <class IsIt>
Result<bool> AnyEntry(const std::string& path, IsIt is_it) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about{};
  if (!file || fstat(file.Get(), &about) != 0) return std::unexpected(ErrnoError("read " + path));
  const auto found = ReadDirectory(file.Get(), static_cast<std::uint64_t>(about.st_size));
  if (!found || found->size > found->limit) return std::unexpected(BadZip());
  bool holds = false;
  WalkDirectory(file.Get(), found->limit - found->size, *found,
                [&](std::uint64_t at, std::string_view entry) {
                  holds = holds || is_it(file.Get(), at, Number(entry, 28, 2));
                });
  return holds;
}

}  // namespace

Result<bool> ZipHolds(const std::string& path, std::string_view name) {
  return AnyEntry(path, [&](int fd, std::uint64_t at, std::uint64_t length) {
    return length == name.size() && ReadAt(fd, at, length) == name;
  });
}

Result<std::vector<ZipMember>> ZipMembers(int fd, std::uint64_t size) {
  constexpr std::uint64_t kLarge = 0xFFFFFFFF, kLocalSize = 30;
  const auto found = ReadDirectory(fd, size);
  if (!found || found->size > found->limit) return std::unexpected(BadZip());
  // Bytes may stand before the archive; offsets are then counted from its start.
  const auto before =
      found->limit - found->size - std::min(found->offset, found->limit - found->size);
  std::vector<ZipMember> members;
  WalkDirectory(fd, found->limit - found->size, *found, [&](std::uint64_t, std::string_view entry) {
    const auto packed = Number(entry, 20, 4), offset = Number(entry, 42, 4);
    if (packed == 0 || packed == kLarge || offset == kLarge) return;
    const auto local = ReadAt(fd, before + offset, kLocalSize);
    if (!local || !local->starts_with(std::string_view("PK\3\4", 4))) return;
    members.push_back(
        {before + offset + kLocalSize + Number(*local, 26, 2) + Number(*local, 28, 2), packed});
  });
  return members;
}

Result<bool> ZipHoldsSuffix(const std::string& path, std::string_view suffix) {
  return AnyEntry(path, [&](int fd, std::uint64_t at, std::uint64_t length) {
    return length >= suffix.size() &&
           ReadAt(fd, at + length - suffix.size(), suffix.size()) == suffix;
  });
}

}  // namespace samovar
