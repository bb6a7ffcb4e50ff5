#include "collections/disk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "os/priority.h"

namespace samovar {

namespace {

constexpr std::size_t kAtOnce = 128 << 10;

// A huge page that is freed is the next that this processor gives out. It was filled with zeros in
// between, which is done 4 KiB by 4 KiB and can be interrupted.
void WarmHugePage() {
  void* page =
      ::mmap(nullptr, kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (::madvise(page, kHugePage, MADV_HUGEPAGE) == 0) *static_cast<volatile char*>(page) = 1;
  ::munmap(page, kHugePage);
}

// As much of it as goes at once.
Result<std::size_t> WriteOnce(int fd, std::uint64_t at, std::string_view bytes,
                              const std::string& path) {
  while (true) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return std::unexpected(ErrnoError("write " + path));
  }
}

}  // namespace

UnfinishedFile::~UnfinishedFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<Fd> Disk::Create(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return std::unexpected(ErrnoError("make " + path));
  // Sandboxes read some of them, whatever the umask is; folders tell who reads which.
  if (::fchmod(fd.Get(), 0644) != 0) return std::unexpected(ErrnoError("open up " + path));
  return fd;
}

// The kernel copies what is written at once without letting anybody else have the processor
// (PREEMPT_NONE, PREEMPT_VOLUNTARY): half a millisecond for 2 MiB, but seven where the page is one
// that the host of a virtual machine took away while it was free. So all but huge pages is written
// in short pieces, and these get a page that is there.
Result<void> Disk::Write(int fd, std::uint64_t at, std::string_view bytes,
                         const std::string& path) {
  Turn turn;
  while (!bytes.empty()) {
    TRY(const std::size_t n, WriteOnce(fd, at, bytes.substr(0, kAtOnce), path));
    bytes.remove_prefix(n);
    at += n;
    turn.Check();
  }
  return {};
}

Result<void> Disk::WriteHuge(int fd, std::uint64_t at, std::string_view bytes,
                             const std::string& path) {
  WarmHugePage();
  TRY(const std::size_t n, WriteOnce(fd, at, bytes, path));
  return Disk::Write(fd, at + n, bytes.substr(n), path);
}

Result<void> Disk::Reserve(int fd, std::uint64_t size, const std::string& path) {
  const int err = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
  if (err == 0) return {};
  return std::unexpected(ErrnoError("reserve room for " + path, err));
}

Result<void> Disk::Truncate(int fd, std::uint64_t size, const std::string& path) {
  if (::ftruncate(fd, static_cast<off_t>(size)) == 0) return {};
  return std::unexpected(ErrnoError("set the size of " + path));
}

Result<void> Disk::Sync(int fd, const std::string& path) {
  if (::fdatasync(fd) == 0) return {};
  return std::unexpected(ErrnoError("sync " + path));
}

Result<void> Disk::Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return std::unexpected(ErrnoError("rename " + from + " to " + to));
}

Result<void> Disk::SyncFolder(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return std::unexpected(ErrnoError("open " + path));
  if (::fsync(fd.Get()) == 0) return {};
  return std::unexpected(ErrnoError("sync " + path));
}

Result<void> Disk::CheckRoom(const std::string& folder, std::uint64_t bytes) {
  struct statvfs at{};
  if (::statvfs(folder.c_str(), &at) != 0) return std::unexpected(ErrnoError("look at " + folder));
  const std::uint64_t left = at.f_bavail * at.f_frsize;
  if (left >= bytes || at.f_blocks == 0) return {};  // some file systems do not tell
  return std::unexpected(ErrnoError(folder + ": " + std::to_string(bytes) + " bytes are needed, " +
                                        std::to_string(left) + " left",
                                    ENOSPC));
}

Result<void> Disk::Replace(const std::string& path, std::string_view bytes) {
  const std::string fresh = path + ".new";
  UnfinishedFile unfinished(fresh);
  {
    TRY(Fd fd, Create(fresh));
    TRY(Write(fd.Get(), 0, bytes, fresh));
    TRY(Sync(fd.Get(), fresh));
  }
  TRY(Rename(fresh, path));
  unfinished.Keep();
  return SyncFolder(std::filesystem::path(path).parent_path().string());
}

Result<std::string> ReadFile(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::unexpected(ErrnoError("open " + path));
  struct stat info{};
  if (::fstat(fd.Get(), &info) != 0) return std::unexpected(ErrnoError("stat " + path));
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n =
        ::pread(fd.Get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(ErrnoError("read " + path));
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace samovar
