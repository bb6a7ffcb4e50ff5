#include "sandbox/egress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <sstream>

#include "os/linux.h"

namespace samovar {
namespace {

constexpr const char* kProgram = "/usr/bin/slirp4netns";

// What it needs to enter the namespace, open /dev/net/tun and shut itself in; it then drops all.
// It must be user 0 at its start: with another it goes looking for a user namespace to be root in.
constexpr unsigned long kCapabilities[] = {CAP_SYS_ADMIN,       CAP_NET_ADMIN,  CAP_DAC_OVERRIDE,
                                           CAP_SETPCAP,         CAP_SYS_CHROOT, CAP_SYS_PTRACE,
                                           CAP_NET_BIND_SERVICE};

void DropOtherCapabilities() {
  for (unsigned long cap = 0; ::prctl(PR_CAPBSET_READ, cap) >= 0; ++cap) {
    if (std::find(std::begin(kCapabilities), std::end(kCapabilities), cap) ==
        std::end(kCapabilities)) {
      ::prctl(PR_CAPBSET_DROP, cap);
    }
  }
}

[[noreturn]] void RunSlirp(pid_t pid, int cgroup, int go, int exit_end) {
  constexpr int kGo = 3, kExit = 4, kNamespace = 5;
  int high_go = DuplicateAbove(go, 10), high_exit = DuplicateAbove(exit_end, 10);
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  int space = ::open(fmt::format("/proc/{}/ns/net", pid).c_str(), O_RDONLY | O_CLOEXEC);
  int high_space = DuplicateAbove(space, 10);
  if (high_space < 0 || !WriteSmallFileAt(cgroup, "cgroup.procs", "0") || high_go < 0 ||
      high_exit < 0)
    ::_exit(1);
  for (int fd : {0, 1, 2}) ::dup2(null, fd);
  ::dup2(high_go, kGo);
  ::dup2(high_exit, kExit);
  ::dup2(high_space, kNamespace);
  CloseRange(6, ~0u, 0);
  rlimit memory{256u << 20, 256u << 20}, files{1024, 1024};
  ::setrlimit(RLIMIT_AS, &memory);
  ::setrlimit(RLIMIT_NOFILE, &files);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  DropOtherCapabilities();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::execl(kProgram, kProgram, "--configure", "--mtu=65520", "--disable-host-loopback",
          "--disable-dns", "--enable-sandbox", "--enable-seccomp", "--ready-fd=3", "--exit-fd=4",
          "--netns-type=path", "/proc/self/fd/5", "tap0", nullptr);
  ::_exit(127);
}

class Slirp final : public Egress {
 public:
  Slirp(pid_t pid, Fd exit_end) : pid_(pid), exit_(std::move(exit_end)) {}
  ~Slirp() override {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

 private:
  pid_t pid_;
  Fd exit_;  // its other end closing ends the process, should the spawner die
};

bool NamesOnlyLoopback(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, address;
    words >> key >> address;
    if (key == "nameserver" && !address.starts_with("127.") && address != "::1") return false;
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<Egress>> StartEgress(pid_t pid, int cgroup, int go) {
  if (::access(kProgram, X_OK) != 0) {
    return Fail(Code::kUnsupported,
                "network egress needs slirp4netns: install Debian's package of that name");
  }
  if (::access("/dev/net/tun", F_OK) != 0) {
    return Fail(Code::kUnsupported, "network egress needs /dev/net/tun");
  }
  if (cgroup < 0) {
    return Fail(Code::kUnsupported,
                "network egress needs a cgroup version 2 hierarchy, to keep functions from the "
                "host's own services");
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::unexpected(ErrnoError("pipe"));
  Fd theirs(ends[0]), ours(ends[1]);
  pid_t slirp = ::fork();
  if (slirp < 0) return std::unexpected(ErrnoError("fork"));
  if (slirp == 0) RunSlirp(pid, cgroup, go, theirs.Get());
  return std::make_unique<Slirp>(slirp, std::move(ours));
}

Result<std::string> EgressResolver() {
  for (const char* path : {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}) {
    auto text = ReadSmallFile(path);
    if (text && !NamesOnlyLoopback(*text)) return *text;
  }
  return Fail(Code::kUnsupported,
              "network egress needs a name server that is not on the host's loopback "
              "(/etc/resolv.conf)");
}

}  // namespace samovar
