#include "sandbox/copy_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <memory>
#include <vector>

#include "os/fd.h"

namespace samovar {
namespace {

struct Copying {
  const std::string& name;
  CopyBudget& budget;
  std::vector<char> buffer = {};

  std::unexpected<Error> TooMuch() const {
    return Fail(Code::kUnsupported,
                fmt::format("the template left more in {} than a clone takes over (64 MiB, 4096 "
                            "files, 64 levels)",
                            name));
  }
  Result<void> Spend(std::size_t bytes) {
    if (budget.bytes.count < bytes) return TooMuch();
    budget.bytes.count -= bytes;
    return {};
  }
  Result<void> Folder(int from, int to);
  Result<void> Entry(int from, int to, const char* entry);
  Result<void> File(int from, int to, const char* entry);
};

void KeepAttributes(int at, const char* entry, const struct stat& status) {
  (void)::fchownat(at, entry, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
  if (!S_ISLNK(status.st_mode)) (void)::fchmodat(at, entry, status.st_mode & 07777, 0);
  timespec times[] = {status.st_atim, status.st_mtim};
  (void)::utimensat(at, entry, times, AT_SYMLINK_NOFOLLOW);
}

Result<void> Copying::File(int from, int to, const char* entry) {
  // It may be another thing by now: a FIFO must not hold us up.
  Fd source(::openat(from, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status{};
  if (!source || ::fstat(source.Get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  Fd copy(::openat(to, entry, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!copy) return std::unexpected(ErrnoError("copy " + name));
  buffer.resize(256 << 10);
  // Holes stay holes.
  off_t at = 0;
  while ((at = ::lseek(source.Get(), at, SEEK_DATA)) >= 0) {
    ssize_t got = ::pread(source.Get(), buffer.data(), buffer.size(), at);
    if (got <= 0) break;
    TRY(Spend(static_cast<std::size_t>(got)));
    if (::pwrite(copy.Get(), buffer.data(), static_cast<std::size_t>(got), at) != got) {
      return std::unexpected(ErrnoError("copy " + name));
    }
    at += got;
  }
  if (::ftruncate(copy.Get(), status.st_size) != 0) return std::unexpected(ErrnoError("ftruncate"));
  KeepAttributes(to, entry, status);
  return {};
}

Result<void> Copying::Entry(int from, int to, const char* entry) {
  if (budget.entries-- <= 0) return TooMuch();
  struct stat status{};
  if (::fstatat(from, entry, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};  // gone
  if (S_ISREG(status.st_mode)) return File(from, to, entry);
  if (S_ISDIR(status.st_mode)) {
    Fd source(::openat(from, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!source) return {};
    if (::mkdirat(to, entry, 0700) != 0) return std::unexpected(ErrnoError("copy " + name));
    Fd copy(::openat(to, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!copy) return std::unexpected(ErrnoError("copy " + name));
    TRY(Folder(source.Get(), copy.Get()));
  } else if (S_ISLNK(status.st_mode)) {
    char target[PATH_MAX];
    ssize_t length = ::readlinkat(from, entry, target, sizeof target - 1);
    if (length <= 0) return {};
    target[length] = '\0';
    if (::symlinkat(target, to, entry) != 0) return std::unexpected(ErrnoError("copy " + name));
  } else if (S_ISFIFO(status.st_mode)) {
    if (::mkfifoat(to, entry, 0600) != 0) return std::unexpected(ErrnoError("copy " + name));
  } else {
    return {};
  }
  KeepAttributes(to, entry, status);
  return {};
}

Result<void> Copying::Folder(int from, int to) {
  if (budget.depth-- <= 0) return TooMuch();
  // Another open file: `from`'s own position may be shared.
  Fd again(::openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(again.Get()), &::closedir);
  if (!folder) return std::unexpected(ErrnoError("read " + name));
  again.Release();
  while (dirent* entry = ::readdir(folder.get())) {
    std::string_view called = entry->d_name;
    if (called == "." || called == "..") continue;
    TRY(Entry(from, to, entry->d_name));
  }
  ++budget.depth;
  return {};
}

}  // namespace

Result<void> CopyTree(int from, int to, const std::string& name, CopyBudget& budget) {
  return Copying{.name = name, .budget = budget}.Folder(from, to);
}

}  // namespace samovar
