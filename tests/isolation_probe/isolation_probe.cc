// isolation_probe NAME [ARGUMENT]: one attempt to get out of a sandbox, or to hurt who is outside.
// Prints "open" when it succeeded and "shut: reason" when it was refused; exits 0 either way.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

using Attempt = bool (*)(const std::string& argument);  // true: it worked

bool Call(long answer) { return answer >= 0; }

bool CanRead(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY);
  if (fd < 0) return false;
  char byte;
  ssize_t got = ::read(fd, &byte, 1);
  return got > 0 || (got < 0 && errno == EISDIR);
}

bool CanWrite(const std::string& path) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0644);
  return fd >= 0 && ::write(fd, "x", 1) == 1;
}

bool CanConnect(const std::string& address) {  // "127.0.0.1:80"
  auto colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  timeval patience{3, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return false;
  // A proxy in between accepts first and tries afterwards: only bytes prove the way.
  char byte;
  return ::recv(fd, &byte, 1, 0) == 1;
}

// An abstract Unix socket belongs to a network namespace.
bool CanConnectAbstract(const std::string& name) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path + 1, name.data(), name.size());
  int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&to), size) == 0;
}

// Any other process that /proc shows, besides the sandbox's own first.
bool SeesOthers(const std::string&) {
  DIR* proc = ::opendir("/proc");
  if (!proc) return false;
  while (dirent* entry = ::readdir(proc)) {
    int pid = std::atoi(entry->d_name);
    if (pid > 1 && pid != ::getpid() && pid != ::getppid()) return true;
  }
  return false;
}

bool SignalsAll(const std::string&) {
  int sent = 0;
  for (int pid = 1; pid < 70000; ++pid) {
    if (pid == ::getpid() || pid == ::getppid()) continue;
    if (pid > 1 && ::kill(pid, SIGKILL) == 0) ++sent;
  }
  return sent > 0;
}

// Process 1 is the platform's.
bool KillsInit(const std::string&) {
  ::kill(1, SIGKILL);
  ::kill(1, SIGSEGV);
  ::kill(1, SIGTERM);
  ::usleep(50'000);
  return false;  // still here: it lives
}

bool ForkBomb(const std::string& most) {
  int made = 0, limit = std::stoi(most);
  std::vector<pid_t> children;
  for (; made < limit; ++made) {
    pid_t pid = ::fork();
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
    if (pid < 0) break;
    children.push_back(pid);
  }
  int why = errno;
  for (pid_t pid : children) ::kill(pid, SIGKILL);
  for (pid_t pid : children) ::waitpid(pid, nullptr, 0);
  std::printf("%d processes; ", made);
  errno = why;
  return made == limit;
}

bool FillMemory(const std::string& mebibytes) {
  long count = std::stol(mebibytes);
  for (long i = 0; i < count; ++i) {
    void* page =
        ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    std::memset(page, static_cast<int>(i) | 1, 1 << 20);
  }
  return true;
}

// Many processes, each below the limit, together above.
bool FillMemoryTogether(const std::string& mebibytes) {
  long each = std::stol(mebibytes) / 8;
  for (int i = 0; i < 8; ++i) {
    if (::fork() == 0) {
      FillMemory(std::to_string(each));
      ::pause();
    }
  }
  ::sleep(20);
  return true;
}

bool FillShared(const std::string& mebibytes) {
  std::size_t size = std::stoul(mebibytes) << 20;
  int fd = ::memfd_create("fill", 0);
  if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(size)) != 0) return false;
  void* all = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (all == MAP_FAILED) return false;
  std::memset(all, 7, size);
  return true;
}

// Writes until the file system refuses, and says how much it took.
bool FillFiles(const std::string& dir) {
  std::string block(1 << 20, 'x');
  long written = 0;
  int fd = ::open((dir + "/fill").c_str(), O_WRONLY | O_CREAT, 0600);
  while (fd >= 0 && written < 20'000) {
    ssize_t got = ::write(fd, block.data(), block.size());
    if (got <= 0) break;
    written += got >> 20;
    if (got < 1 << 20) continue;
  }
  int why = errno;
  std::printf("%ld MiB; ", written);
  errno = why;
  return written >= 20'000;
}

bool FillInodes(const std::string& dir) {
  int made = 0;
  for (; made < 10'000'000; ++made) {
    int fd = ::open((dir + "/" + std::to_string(made)).c_str(), O_WRONLY | O_CREAT, 0600);
    if (fd < 0) return false;
    ::close(fd);
  }
  return true;
}

bool TracesInit(const std::string&) { return Call(::ptrace(PTRACE_ATTACH, 1, nullptr, nullptr)); }

bool ReadsInitMemory(const std::string&) {
  char byte;
  iovec here{&byte, 1}, there{reinterpret_cast<void*>(0x400000), 1};
  if (Call(::syscall(SYS_process_vm_readv, 1, &here, 1, &there, 1, 0))) return true;
  return CanRead("/proc/1/mem") || CanRead("/proc/1/environ") || CanRead("/proc/1/maps");
}

bool OpensInitFiles(const std::string&) {
  return ::opendir("/proc/1/fd") != nullptr || ::opendir("/proc/1/root/") != nullptr;
}

bool MountsTmpfs(const std::string&) { return Call(::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr)); }
bool Remounts(const std::string& path) {
  return Call(::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr));
}
bool Unmounts(const std::string& path) { return Call(::umount2(path.c_str(), MNT_DETACH)); }
bool Unshares(const std::string&) { return Call(::unshare(CLONE_NEWUSER)); }
bool UnsharesMounts(const std::string&) { return Call(::unshare(CLONE_NEWNS)); }
bool ClonesUser(const std::string&) {
  long pid = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) ::_exit(0);
  return Call(pid);
}
bool Clone3(const std::string&) {
  struct {
    std::uint64_t flags, rest[10];
  } args{CLONE_NEWUSER, {}};
  long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) ::_exit(0);
  return Call(pid);
}
bool EntersNamespace(const std::string&) {
  int fd = ::open("/proc/self/ns/mnt", O_RDONLY);
  return Call(::setns(fd, 0));
}
bool Socket(int family, int type, int protocol) { return Call(::socket(family, type, protocol)); }
bool RawSocket(const std::string&) { return Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
bool RawSocketHighBits(const std::string&) {
  // The kernel looks at 32 bits; a filter that compared 64 could be fooled.
  return Call(::syscall(SYS_socket, AF_INET | (1L << 32), SOCK_RAW | (1L << 32), IPPROTO_ICMP));
}
bool PacketSocket(const std::string&) { return Socket(AF_PACKET, SOCK_RAW, 0); }
bool VsockSocket(const std::string&) { return Socket(AF_VSOCK, SOCK_STREAM, 0); }
bool AlgSocket(const std::string&) { return Socket(AF_ALG, SOCK_SEQPACKET, 0); }
bool NetfilterSocket(const std::string&) { return Socket(AF_NETLINK, SOCK_RAW, 12); }
bool AuditSocket(const std::string&) { return Socket(AF_NETLINK, SOCK_RAW, 9); }
bool SctpSocket(const std::string&) { return Socket(AF_INET, SOCK_STREAM, 132); }

bool MakesDevice(const std::string&) {
  return Call(::mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)));
}
bool ChangesRoot(const std::string&) { return Call(::chroot("/tmp")); }
bool BecomesRoot(const std::string&) {
  return Call(::setuid(0)) || Call(::setgid(0)) || Call(::setresuid(0, 0, 0));
}
bool MakesSetuid(const std::string&) {
  // A set-uid file of one's own gives nobody anything: the mount is nosuid.
  int fd = ::open("/tmp/su", O_WRONLY | O_CREAT, 0755);
  if (fd < 0 || ::fchmod(fd, 04755) != 0) return false;
  struct stat status{};
  ::fstat(fd, &status);
  return status.st_uid == 0;
}
bool Perf(const std::string&) {
  char attributes[128] = {};
  return Call(::syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0));
}
bool Bpf(const std::string&) {
  char attributes[128] = {};
  return Call(::syscall(SYS_bpf, 0, attributes, sizeof attributes));
}
bool Keyring(const std::string&) {
  return Call(::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1)) ||
         Call(::syscall(SYS_add_key, "user", "k", "v", 1, KEY_SPEC_SESSION_KEYRING));
}
bool Userfault(const std::string&) { return Call(::syscall(SYS_userfaultfd, 0)); }
bool IoUring(const std::string&) {
  char parameters[256] = {};
  return Call(::syscall(SYS_io_uring_setup, 4, parameters));
}
bool HandleOpen(const std::string&) {
  struct {
    unsigned bytes = 8;
    int type = 1;
    char handle[8] = {2};
  } handle;
  return Call(::syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY));
}
bool NewMountApi(const std::string&) {
  return Call(::syscall(SYS_fsopen, "tmpfs", 0)) ||
         Call(::syscall(SYS_open_tree, AT_FDCWD, "/", 1));
}
bool SetsHostName(const std::string&) { return Call(::sethostname("x", 1)); }
bool SetsClock(const std::string&) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return Call(::clock_settime(CLOCK_REALTIME, &now));
}
bool SwapsOn(const std::string&) { return Call(::syscall(SYS_swapon, "/tmp/x", 0)); }
bool Reboots(const std::string&) {
  return Call(::syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0));
}
bool LoadsModule(const std::string&) { return Call(::syscall(SYS_init_module, nullptr, 0, "")); }
bool Syslog(const std::string&) {
  char text[64];
  return Call(::syscall(SYS_syslog, 3, text, sizeof text));
}
bool RaisesNice(const std::string&) {
  sched_param most{50};
  return Call(::setpriority(PRIO_PROCESS, 0, -10)) ||
         Call(::sched_setscheduler(0, SCHED_FIFO, &most));
}
bool RaisesLimit(const std::string&) {
  rlimit more{4096, 4096};
  return Call(::setrlimit(RLIMIT_NOFILE, &more));
}
bool HasExtraDescriptors(const std::string&) {
  for (int fd = 3; fd < 4096; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) return true;
  }
  return false;
}
bool TypesOnTerminal(const std::string&) {
  char key = 'x';
  return Call(::ioctl(0, TIOCSTI, &key));
}
bool ListsMounts(const std::string& word) {
  FILE* mounts = std::fopen("/proc/self/mountinfo", "r");
  if (!mounts) return false;
  char line[4096];
  while (std::fgets(line, sizeof line, mounts)) {
    if (std::strstr(line, word.c_str())) return true;
  }
  return false;
}
bool Hello(const std::string&) { return ::write(3, "h", 1) == 1; }
bool Aborts(const std::string&) { std::abort(); }
bool KillsItself(const std::string&) { return ::kill(::getpid(), SIGKILL) == 0; }
bool Spins(const std::string&) {
  for (;;) {
  }
}
bool LeavesChildren(const std::string&) {
  for (int i = 0; i < 5; ++i) {
    if (::fork() == 0) {
      ::setsid();
      if (::fork() != 0) ::_exit(0);
      ::signal(SIGTERM, SIG_IGN);
      for (;;) ::pause();
    }
  }
  return true;
}

struct Named {
  const char* name;
  Attempt attempt;
};

constexpr Named kAttempts[] = {{"read", CanRead},
                               {"write", CanWrite},
                               {"connect", CanConnect},
                               {"connect-abstract", CanConnectAbstract},
                               {"see-others", SeesOthers},
                               {"signal-all", SignalsAll},
                               {"kill-init", KillsInit},
                               {"fork-bomb", ForkBomb},
                               {"fill-memory", FillMemory},
                               {"fill-memory-together", FillMemoryTogether},
                               {"fill-shared", FillShared},
                               {"fill-files", FillFiles},
                               {"fill-inodes", FillInodes},
                               {"trace-init", TracesInit},
                               {"read-init-memory", ReadsInitMemory},
                               {"open-init-files", OpensInitFiles},
                               {"mount", MountsTmpfs},
                               {"remount", Remounts},
                               {"unmount", Unmounts},
                               {"unshare-user", Unshares},
                               {"unshare-mounts", UnsharesMounts},
                               {"clone-user", ClonesUser},
                               {"clone3", Clone3},
                               {"setns", EntersNamespace},
                               {"raw-socket", RawSocket},
                               {"raw-socket-high-bits", RawSocketHighBits},
                               {"packet-socket", PacketSocket},
                               {"vsock", VsockSocket},
                               {"alg-socket", AlgSocket},
                               {"netfilter-socket", NetfilterSocket},
                               {"audit-socket", AuditSocket},
                               {"sctp-socket", SctpSocket},
                               {"mknod", MakesDevice},
                               {"chroot", ChangesRoot},
                               {"become-root", BecomesRoot},
                               {"make-setuid", MakesSetuid},
                               {"perf", Perf},
                               {"bpf", Bpf},
                               {"keyring", Keyring},
                               {"userfaultfd", Userfault},
                               {"io-uring", IoUring},
                               {"open-by-handle", HandleOpen},
                               {"new-mount-api", NewMountApi},
                               {"sethostname", SetsHostName},
                               {"set-clock", SetsClock},
                               {"swapon", SwapsOn},
                               {"reboot", Reboots},
                               {"load-module", LoadsModule},
                               {"syslog", Syslog},
                               {"raise-nice", RaisesNice},
                               {"raise-limit", RaisesLimit},
                               {"extra-descriptors", HasExtraDescriptors},
                               {"type-on-terminal", TypesOnTerminal},
                               {"list-mounts", ListsMounts},
                               {"hello", Hello},
                               {"abort", Aborts},
                               {"kill-itself", KillsItself},
                               {"spin", Spins},
                               {"leave-children", LeavesChildren}};

}  // namespace

int main(int argc, char** argv) {
  std::setbuf(stdout, nullptr);
  for (const auto& [name, attempt] : kAttempts) {
    if (argc < 2 || std::strcmp(argv[1], name) != 0) continue;
    errno = 0;
    if (attempt(argc > 2 ? argv[2] : "")) {
      std::printf("open\n");
    } else {
      std::printf("shut: %s\n", std::strerror(errno));
    }
    return 0;
  }
  std::fprintf(stderr, "no such attempt\n");
  return 2;
}
