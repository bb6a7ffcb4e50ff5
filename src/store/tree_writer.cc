#include "store/tree_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/content_hash.h"
#include "store/entry_path.h"
#include "store/zip_check.h"

namespace samovar {
namespace {

// Up to this many files are synced one by one; above, the whole file system once.
constexpr std::size_t kSyncEach = 64;
// Files up to this size are looked for among the kept ones before they are written.
constexpr std::size_t kInMemory = 1 << 20;
// So many new files at most wait for one sync.
constexpr std::size_t kMaxFresh = 20'000;

Result<void> WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::unexpected(ErrnoError("unpack: write a file"));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

std::unexpected<Error> RefuseEntry(std::string_view name, std::string_view why) {
  return Fail(
      Code::kInvalid,
      fmt::format("Could not unzip uploaded file: entry '{}' {}.", name.substr(0, 200), why),
      "InvalidParameterValueException");
}

// Opens the directory of the first `count` components, making those that are missing.
Result<Fd> TreeWriter::MakeDirectories(const std::string& name,
                                       const std::vector<std::string>& path, std::size_t count) {
  int at = root_.Get();
  Fd held;
  for (std::size_t i = 0; i < count; ++i) {
    if (mkdirat(at, path[i].c_str(), 0755) == 0) {
      fchmodat(at, path[i].c_str(), 0755, 0);  // whatever the umask
      if (++directories_ > options_.max_files) {
        return Fail(Code::kTooLarge,
                    fmt::format("The package has more than {} files.", options_.max_files),
                    "InvalidParameterValueException");
      }
    } else if (errno != EEXIST) {
      return std::unexpected(ErrnoError("unpack: make a directory"));
    }
    Fd next(openat(at, path[i].c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) {
      if (errno == ENOTDIR || errno == ELOOP) return RefuseEntry(name, "lies under a file");
      return std::unexpected(ErrnoError("unpack: open a directory"));
    }
    held = std::move(next);
    at = held.Get();
  }
  if (held) return held;
  return Fd(fcntl(root_.Get(), F_DUPFD_CLOEXEC, 3));
}

Result<TreeWriter::Place> TreeWriter::PlaceOf(const std::string& name) {
  TRY(const auto path, SplitEntryPath(name));
  if (path.empty()) return RefuseEntry(name, "has no name");
  TRY(auto parent, MakeDirectories(name, path, path.size() - 1));
  return Place{std::move(parent), path.back(), fmt::format("{}", fmt::join(path, "/"))};
}

Result<void> TreeWriter::Count(std::size_t bytes) {
  unpacked_ += bytes;
  if (unpacked_ <= options_.max_unpacked.count) return {};
  return std::unexpected(TooMuchToUnpack(options_.max_unpacked));
}

Result<Fd> TreeWriter::Create(const std::string& name, const Place& place, bool executable) const {
  Fd file(openat(place.parent.Get(), place.name.c_str(),
                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, executable ? 0755 : 0644));
  if (file) return file;
  if (errno == EEXIST) return RefuseEntry(name, "is in the package twice");
  return std::unexpected(ErrnoError("unpack: create a file"));
}

Result<void> TreeWriter::AddFile(const std::string& name, bool executable, std::int64_t time,
                                 const Pull& pull) {
  TRY(const auto place, PlaceOf(name));
  KeptFile file{.hash = "", .size = 0, .executable = executable, .time = time};
  std::string head;
  for (;;) {
    TRY(const auto bytes, pull());
    if (bytes.empty()) break;
    TRY(Count(bytes.size()));
    head += bytes;
    if (head.size() > kInMemory) return WriteLarge(name, place, std::move(head), file, pull);
  }
  file.size = head.size();
  if (kept_ && !head.empty()) {
    file.hash = ContentHash::Of(head);
    struct stat there{};
    const bool twice =
        fstatat(place.parent.Get(), place.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (!twice && kept_->LinkTo(file, place.parent.Get(), place.name.c_str())) return {};
  }
  TRY(const auto fd, Create(name, place, executable));
  TRY(WriteAll(fd.Get(), head));
  return Close(fd.Get(), place, file);
}

Result<void> TreeWriter::WriteLarge(const std::string& name, const Place& place, std::string head,
                                    KeptFile file, const Pull& pull) {
  TRY(const auto fd, Create(name, place, file.executable));
  ContentHash hash;
  const auto add = [&](std::string_view bytes) {
    file.size += bytes.size();
    if (kept_) hash.Update(bytes);
    return WriteAll(fd.Get(), bytes);
  };
  TRY(add(head));
  for (;;) {
    TRY(const auto bytes, pull());
    if (bytes.empty()) break;
    TRY(Count(bytes.size()));
    TRY(add(bytes));
  }
  if (kept_) file.hash = hash.Hex();
  if (kept_ && kept_->Replace(file, place.parent.Get(), place.name.c_str())) return {};
  return Close(fd.Get(), place, file);
}

Result<void> TreeWriter::Close(int fd, const Place& place, const KeptFile& file) {
  if (fchmod(fd, file.executable ? 0755 : 0644) != 0) {  // whatever the umask
    return std::unexpected(ErrnoError("unpack: chmod"));
  }
  const timespec at{file.time, 0};
  const timespec times[2] = {at, at};
  futimens(fd, times);  // a time that the file system cannot hold is no reason to fail
  if (++files_ <= kSyncEach && fsync(fd) != 0) {
    return std::unexpected(ErrnoError("unpack: sync a file"));
  }
  if (kept_ && !file.hash.empty()) fresh_.emplace_back(place.path, file);
  return fresh_.size() < kMaxFresh ? Result<void>() : Sync();
}

Result<void> TreeWriter::AddKept(const std::string& name, const KeptFile& file) {
  TRY(const auto place, PlaceOf(name));
  TRY(Count(file.size));
  struct stat there{};
  if (fstatat(place.parent.Get(), place.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
    return RefuseEntry(name, "is in the package twice");
  }
  if (kept_ && kept_->LinkTo(file, place.parent.Get(), place.name.c_str())) return {};
  return Fail(Code::kConflict, fmt::format("the content of {} is not here", name));
}

Result<void> TreeWriter::AddDirectory(const std::string& name) {
  TRY(const auto path, SplitEntryPath(name));
  TRY(const auto made, MakeDirectories(name, path, path.size()));
  return {};
}

Result<void> TreeWriter::AddLink(const std::string& name, const std::string& target) {
  TRY(auto path, SplitEntryPath(name));
  if (path.empty() || !LinkStaysInside(path, target)) {
    return RefuseEntry(name, "is a symlink that leaves the package");
  }
  links_.push_back({std::move(path), target});
  return {};
}

Result<void> TreeWriter::MakeLinks() {
  for (const auto& link : links_) {
    const auto name = fmt::format("{}", fmt::join(link.path, "/"));
    // Directories on the way to a link are real ones: a link through another link is refused.
    TRY(const auto parent, MakeDirectories(name, link.path, link.path.size() - 1));
    if (symlinkat(link.target.c_str(), parent.Get(), link.path.back().c_str()) != 0) {
      if (errno == EEXIST) return RefuseEntry(name, "is in the package twice");
      return std::unexpected(ErrnoError("unpack: make a symlink"));
    }
  }
  // A chain of links may lead out though each seems to stay: let the kernel walk them.
  for (const auto& link : links_) {
    const auto name = fmt::format("{}", fmt::join(link.path, "/"));
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const Fd end(
        static_cast<int>(syscall(SYS_openat2, root_.Get(), name.c_str(), &how, sizeof how)));
    if (!end && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
      return RefuseEntry(name, "is a symlink that leaves the package");
    }
  }
  return {};
}

// A path of a fresh file leads through directories only: none ever becomes a symlink.
Result<void> TreeWriter::Sync() {
  const bool few = files_ <= kSyncEach && directories_ == 0;
  if ((few ? fsync(root_.Get()) : syncfs(root_.Get())) != 0) {
    return std::unexpected(ErrnoError("unpack: sync"));
  }
  for (const auto& [path, file] : fresh_) kept_->Take(file, root_.Get(), path.c_str());
  fresh_.clear();
  return {};
}

Result<void> TreeWriter::Finish() {
  TRY(MakeLinks());
  return Sync();
}

}  // namespace samovar
