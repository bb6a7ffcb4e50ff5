#include "os/linux.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace samovar {
namespace {

Result<std::string> ReadAllFrom(Fd file, const std::string& name) {
  if (!file) return std::unexpected(ErrnoError(name));
  std::string text;
  char buffer[4096];
  for (;;) {
    ssize_t got = ::read(file.Get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(ErrnoError(name));
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

// One write call: the kernel's own files take a value in one piece.
Result<void> WriteWhole(Fd file, std::string_view text, const std::string& name) {
  if (!file) return std::unexpected(ErrnoError(name));
  ssize_t wrote = ::write(file.Get(), text.data(), text.size());
  if (wrote != static_cast<ssize_t>(text.size())) return std::unexpected(ErrnoError(name));
  return {};
}

}  // namespace

pid_t CloneProcess(std::uint64_t flags, int* pidfd) {
  clone_args args{};
  args.flags = flags | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(pidfd);
  args.exit_signal = SIGCHLD;
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

int PidfdSendSignal(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

Fd PidfdOpen(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

bool PidfdEnded(int pidfd) {
  pollfd end{pidfd, POLLIN, 0};
  return ::poll(&end, 1, 0) != 0;
}

std::optional<int> PidfdExitStatus(int pidfd) {
  // struct pidfd_info and PIDFD_GET_INFO of <linux/pidfd.h>, which older headers lack.
  struct Info {
    std::uint64_t mask, cgroup;
    std::uint32_t ids[11];
    std::int32_t status;
  } info{};
  constexpr std::uint64_t kExit = 1 << 3;
  info.mask = kExit;
  if (::ioctl(pidfd, _IOWR(0xff, 11, Info), &info) != 0 || !(info.mask & kExit)) return {};
  return info.status;
}

int OpenTreeClone(const char* path, bool below) {
  return static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, path,
                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (below ? AT_RECURSIVE : 0)));
}

Fd DetachedProc(int space) {
  Fd context(static_cast<int>(::syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC)));
  if (!context) return {};
  if (space >= 0 &&
      ::syscall(SYS_fsconfig, context.Get(), FSCONFIG_SET_FD, "pidns", nullptr, space) != 0) {
    return {};
  }
  if (::syscall(SYS_fsconfig, context.Get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return {};
  }
  return Fd(static_cast<int>(::syscall(SYS_fsmount, context.Get(), FSMOUNT_CLOEXEC,
                                       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)));
}

int MoveMount(int tree, const char* target) {
  return static_cast<int>(
      ::syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH));
}

int SealMount(int tree, bool writable) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (!writable) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  attributes.propagation = 1 << 18;  // MS_PRIVATE; <sys/mount.h> clashes with <linux/mount.h>
  return static_cast<int>(
      ::syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
}

int PivotRoot(const char* new_root, const char* put_old) {
  return static_cast<int>(::syscall(SYS_pivot_root, new_root, put_old));
}

int CloseRange(unsigned first, unsigned last, unsigned flags) {
  return static_cast<int>(::syscall(SYS_close_range, first, last, flags));
}

int DuplicateAbove(int fd, int lowest) { return ::fcntl(fd, F_DUPFD_CLOEXEC, lowest); }

Result<std::string> ReadSmallFile(const std::string& path) {
  return ReadAllFrom(Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path);
}

Result<std::string> ReadSmallFileAt(int dir, const char* name) {
  return ReadAllFrom(Fd(::openat(dir, name, O_RDONLY | O_CLOEXEC)), name);
}

Result<void> WriteSmallFile(const std::string& path, std::string_view text) {
  return WriteWhole(Fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC)), text, path);
}

Result<void> WriteSmallFileAt(int dir, const char* name, std::string_view text) {
  return WriteWhole(Fd(::openat(dir, name, O_WRONLY | O_CLOEXEC)), text, name);
}

std::uint64_t NumberAfter(std::string_view text, std::string_view key) {
  std::size_t at = 0;
  while ((at = text.find(key, at)) != std::string_view::npos) {
    if (at == 0 || text[at - 1] == '\n') {
      return std::strtoull(std::string(text.substr(at + key.size(), 20)).c_str(), nullptr, 10);
    }
    at += key.size();
  }
  return 0;
}

}  // namespace samovar
