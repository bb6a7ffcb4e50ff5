#include "store/manifest.h"

#include <fmt/format.h>

#include <charconv>

#include "base/encoding.h"
#include "store/content_hash.h"

namespace samovar {
namespace {

// Two paths of 4,096 bytes, each byte as %XX, and what stands before them.
constexpr std::size_t kMaxLine = 2 * 3 * 4096 + 128;

// Cuts what stands before the next space off.
std::string_view Word(std::string_view& rest) {
  const auto end = std::min(rest.find(' '), rest.size());
  const auto word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

std::optional<ManifestEntry> ParseLine(std::string_view line) {
  ManifestEntry entry;
  const auto kind = Word(line);
  if (kind == "l") {
    const auto target = PercentDecode(Word(line));
    if (!target || target->empty()) return std::nullopt;
    entry.link = *target;
  } else if (kind == "f" || kind == "x") {
    entry.file.executable = kind == "x";
    entry.file.hash = Word(line);
    const auto size = Word(line);
    const auto end = size.data() + size.size();
    const auto read = std::from_chars(size.data(), end, entry.file.size);
    if (read.ec != std::errc() || read.ptr != end || !IsContentHash(entry.file.hash)) {
      return std::nullopt;
    }
  } else {
    return std::nullopt;
  }
  auto path = PercentDecode(line);
  if (!path || path->empty()) return std::nullopt;
  entry.path = std::move(*path);
  return entry;
}

}  // namespace

std::string ManifestLine(const ManifestEntry& entry) {
  const auto path = PercentEncode(entry.path, true);
  if (!entry.link.empty()) return fmt::format("l {} {}\n", PercentEncode(entry.link, true), path);
  return fmt::format("{} {} {} {}\n", entry.file.executable ? "x" : "f", entry.file.hash,
                     entry.file.size, path);
}

Result<ManifestReader> ManifestReader::Open(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string head(kManifestHead.size(), '\0');
  if (!in.read(head.data(), static_cast<std::streamsize>(head.size())) || head != kManifestHead) {
    return Fail(Code::kInvalid, "the manifest does not begin with samovar-package 1");
  }
  return ManifestReader(std::move(in));
}

Result<std::optional<ManifestEntry>> ManifestReader::Next() {
  ++line_;
  std::string line;
  for (char c = 0; in_.get(c) && c != '\n';) {
    if (line.size() == kMaxLine) break;
    line += c;
  }
  if (line.empty() && in_.eof()) return std::nullopt;
  auto entry = in_ && line.size() < kMaxLine ? ParseLine(line) : std::nullopt;
  if (!entry) {
    return Fail(Code::kInvalid,
                fmt::format("the manifest's line {} is not \"f HASH SIZE PATH\", \"x HASH SIZE "
                            "PATH\" or \"l TARGET PATH\"",
                            line_));
  }
  if (entry->path <= last_) {
    return Fail(Code::kInvalid,
                fmt::format("the manifest's line {} does not come after the one before it; they "
                            "are sorted by path",
                            line_));
  }
  last_ = entry->path;
  return entry;
}

Result<Bytes> ManifestSize(const std::string& path) {
  TRY(auto reader, ManifestReader::Open(path));
  Bytes size;
  for (;;) {
    TRY(const auto entry, reader.Next());
    if (!entry) return size;
    size.count += entry->file.size;
  }
}

bool IsManifest(const std::string& path) { return ManifestReader::Open(path).has_value(); }

}  // namespace samovar
