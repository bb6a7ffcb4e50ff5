#include "collections/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "collections/batch.h"
#include "collections/checksum.h"

namespace samovar {
namespace {

constexpr char kMagic[9] = "SMVLOG01";
constexpr std::uint32_t kRecordMagic = 0x43455253;  // "SREC"
constexpr std::uint32_t kBeginsWrite = 1U << 31;    // in a record's size
constexpr std::size_t kSector = 512;                // a disk writes it whole or not at all
constexpr std::uint64_t kZerosAtOnce = 1 << 20;

struct FileHead {
  char magic[8];
  std::uint64_t first;
  std::uint64_t hash;
};
struct RecordHead {
  std::uint32_t magic;
  std::uint32_t size;
  std::uint64_t generation;
  std::uint64_t body_hash;
  std::uint64_t head_hash;
};
static_assert(sizeof(FileHead) == 24 && sizeof(RecordHead) == 32);

template <class T>
std::string_view BytesOf(const T& value, std::size_t size = sizeof(T)) {
  return {reinterpret_cast<const char*>(&value), size};
}

std::uint64_t HashOf(const FileHead& head) { return Checksum(BytesOf(head, 16)); }
std::uint64_t HashOf(const RecordHead& head) { return Checksum(BytesOf(head, 24)); }

bool AllZero(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char c) { return c == '\0'; });
}

// Whether some sector of bytes [from, to) is zero, as far as it is theirs: it was never written.
bool LacksSector(std::string_view bytes, std::size_t from, std::size_t to) {
  while (from < to) {
    const std::size_t end = std::min(to, (from / kSector + 1) * kSector);
    if (AllZero(bytes.substr(from, end - from))) return true;
    from = end;
  }
  return false;
}

bool IsHead(const RecordHead& head) {
  return head.magic == kRecordMagic && head.head_hash == HashOf(head);
}

// Whether a write that begins past `at`, with a generation above, is there: then all before it was
// synced.
bool LaterWrite(std::string_view bytes, std::size_t at, std::uint64_t generation) {
  const auto magic = BytesOf(kRecordMagic);
  while ((at = bytes.find(magic, at)) != bytes.npos && bytes.size() - at >= sizeof(RecordHead)) {
    RecordHead head{};
    std::memcpy(&head, bytes.data() + at, sizeof(head));
    if (IsHead(head) && (head.size & kBeginsWrite) && head.generation > generation) return true;
    ++at;
  }
  return false;
}

std::string LogPath(const std::string& folder, std::uint64_t first) {
  return fmt::format("{}/log-{:020}", folder, first);
}

std::string FileHeadBytes(std::uint64_t first) {
  FileHead head{};
  std::memcpy(head.magic, kMagic, 8);
  head.first = first;
  head.hash = HashOf(head);
  return std::string(BytesOf(head));
}

}  // namespace

Result<CollectionLog> CollectionLog::Create(Disk& disk, const std::string& folder,
                                            std::uint64_t first) {
  const std::string path = LogPath(folder, first);
  TRY(Fd file, disk.Create(path));
  auto done = disk.Write(file.Get(), 0, FileHeadBytes(first), path);
  if (done) done = disk.Sync(file.Get(), path);
  if (done) done = disk.SyncFolder(folder);
  if (!done) {
    ::unlink(path.c_str());  // the file before it goes on, past this one's first generation
    return std::unexpected(done.error());
  }
  return CollectionLog(disk, std::move(file), path, sizeof(FileHead));
}

Result<CollectionLog> CollectionLog::Prepare(Disk& disk, const std::string& folder,
                                             std::uint64_t room) {
  // First what was renamed before: so the name is free on the disk too.
  TRY(disk.SyncFolder(folder));
  const std::string path = folder + kNextLog;
  UnfinishedFile unfinished(path);
  TRY(Fd file, disk.Create(path));
  const std::string zeros(std::min(room, kZerosAtOnce), '\0');
  for (std::uint64_t at = 0; at < room; at += zeros.size()) {
    TRY(disk.Write(file.Get(), at, zeros, path));
    TRY(disk.Sync(file.Get(), path));
  }
  TRY(disk.Sync(file.Get(), path));
  TRY(disk.SyncFolder(folder));
  unfinished.Keep();
  return CollectionLog(disk, std::move(file), path, 0);
}

Result<void> CollectionLog::Start(const std::string& folder, std::uint64_t first) {
  const std::string path = LogPath(folder, first);
  TRY(disk_->Rename(path_, path));
  path_ = path;
  first_ = first;
  return {};
}

Result<void> NameStartedLog(Disk& disk, const std::string& folder) {
  const std::string path = folder + kNextLog;
  const auto bytes = ReadFile(path);
  if (!bytes && bytes.error().code == Code::kNotFound) return {};
  TRY(bytes);
  FileHead head{};
  if (bytes->size() >= sizeof(head)) std::memcpy(&head, bytes->data(), sizeof(head));
  if (head.hash == HashOf(head) && std::memcmp(head.magic, kMagic, 8) == 0) {
    TRY(disk.Rename(path, LogPath(folder, head.first)));
  } else {  // nothing in it was acknowledged
    ::unlink(path.c_str());
  }
  return disk.SyncFolder(folder);
}

Result<CollectionLog> CollectionLog::Reopen(Disk& disk, const std::string& path,
                                            std::uint64_t size) {
  Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return std::unexpected(ErrnoError("open " + path));
  TRY(disk.Truncate(file.Get(), size, path));
  TRY(disk.Sync(file.Get(), path));
  return CollectionLog(disk, std::move(file), path, size);
}

Result<void> CollectionLog::Append(const std::vector<LogEntry>& entries) {
  if (broken_) {
    return Fail(Code::kUnavailable, path_ + " could not be mended after a failed write; restart");
  }
  std::string bytes = size_ == 0 ? FileHeadBytes(first_) : "";
  for (const auto& entry : entries) {
    const std::uint32_t begins = &entry == &entries.front() ? kBeginsWrite : 0;
    RecordHead head{.magic = kRecordMagic,
                    .size = static_cast<std::uint32_t>(entry.body.size()) | begins,
                    .generation = entry.generation,
                    .body_hash = Checksum(entry.body),
                    .head_hash = 0};
    head.head_hash = HashOf(head);
    bytes.append(BytesOf(head)).append(entry.body);
  }
  auto done = disk_->Write(file_.Get(), size_, bytes, path_);
  if (done) done = disk_->Sync(file_.Get(), path_);
  if (done) {
    size_ += bytes.size();
    return {};
  }
  // What was refused must not come back at the next start.
  auto mended = disk_->Truncate(file_.Get(), size_, path_);
  if (mended) mended = disk_->Sync(file_.Get(), path_);
  broken_ = !mended;
  return done;
}

Result<std::vector<LogFileName>> LogFiles(const std::string& folder) {
  std::vector<LogFileName> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("log-")) continue;
    std::uint64_t first = 0;
    const auto [end, bad] = std::from_chars(name.data() + 4, name.data() + name.size(), first);
    if (bad == std::errc() && end == name.data() + name.size()) {
      found.push_back({first, entry.path().string()});
    }
  }
  if (error) return Fail(Code::kUnavailable, "list " + folder + ": " + error.message());
  std::ranges::sort(found, {}, &LogFileName::first);
  return found;
}

Result<std::uint64_t> ReadLogBytes(std::string_view bytes, const std::string& name, bool last,
                                   std::uint64_t& expected, const LogVisitor& visit) {
  auto damaged = [&](std::size_t at, std::string_view what) {
    return Fail(Code::kInternal, fmt::format("{} is damaged at offset {}: {}", name, at, what));
  };
  if (bytes.size() < sizeof(FileHead)) {
    if (last) return 0;
    return damaged(0, "the file is cut short");
  }
  // A crash may leave any sectors of the last write out. Then one is zero that is none, and no
  // write follows.
  auto torn = [&](std::size_t from, std::size_t to) {
    return last && LacksSector(bytes, from, to) && !LaterWrite(bytes, from, expected);
  };
  FileHead file{};
  std::memcpy(&file, bytes.data(), sizeof(file));
  if (file.hash != HashOf(file) || std::memcmp(file.magic, kMagic, 8) != 0) {
    if (torn(0, sizeof(file))) return 0;
    return damaged(0, "the head is not that of a log of format 1");
  }
  if (file.first != expected) {
    return damaged(8, fmt::format("it begins with generation {}, not {}", file.first, expected));
  }
  std::size_t at = sizeof(FileHead);
  while (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    if (last && rest.size() < sizeof(RecordHead)) return at;
    if (AllZero(rest)) return at;  // room that was not used; what comes next is in the next file
    if (rest.size() < sizeof(RecordHead)) return damaged(at, "a record is cut short");
    RecordHead head{};
    std::memcpy(&head, rest.data(), sizeof(head));
    if (!IsHead(head)) {
      if (torn(at, at + sizeof(head))) return at;
      return damaged(at, "the head of a record has another checksum");
    }
    const std::size_t size = head.size & ~kBeginsWrite;
    if (head.generation != expected || size == 0 || size > kMaxBatch) {
      return damaged(at, fmt::format("generation {}, where {} comes", head.generation, expected));
    }
    const std::string_view body = rest.substr(sizeof(head), size);
    if (body.size() < size) {
      if (last) return at;
      return damaged(at, "a record is cut short");
    }
    if (Checksum(body) != head.body_hash) {
      const std::size_t from = at + sizeof(head);
      if (torn((from + kSector - 1) / kSector * kSector, from + size)) return at;
      // No record ends in a zero.
      if (last && body.back() == '\0' && AllZero(rest.substr(sizeof(head) + size))) return at;
      return damaged(from, "a record has another checksum");
    }
    TRY(visit(head.generation, body));
    ++expected;
    at += sizeof(head) + size;
  }
  return at;
}

}  // namespace samovar
