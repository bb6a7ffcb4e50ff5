#include "sandbox/sandbox_child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

#include "os/linux.h"
#include "os/packet_socket.h"
#include "sandbox/egress.h"
#include "sandbox/root_tree.h"
#include "sandbox/sandbox_mounts.h"
#include "sandbox/spawner_protocol.h"

namespace samovar {
namespace {

Result<void> Checked(int answer, std::string_view what) {
  if (answer == 0) return {};
  return std::unexpected(ErrnoError(what));
}

constexpr const char* kFirstPid = "20000";  // of what a clonable sandbox runs, less 1

Result<void> MountProc(bool clonable) {
  TRY(Checked(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr),
              "mount /proc"));
  // Libraries tell by getpid() whether they were forked. No process of a clone, where the first is
  // 2, should meet the number that its template has.
  if (clonable) (void)WriteSmallFile("/proc/sys/kernel/ns_last_pid", kFirstPid);
  return CoverProc("/proc", "/dev/null");
}

// The tmpfs stays mounted where only root may look: unmounting waits for a grace period.
Result<void> MountTmp(const SandboxSpec& spec) {
  TRY(MountTmpfs("/mnt", spec.tmp_size));
  TRY(Checked(::mount("/mnt/tmp", "/tmp", nullptr, MS_BIND, nullptr), "mount /tmp"));
  return Checked(::mount("/mnt/shm", "/dev/shm", nullptr, MS_BIND, nullptr), "mount /dev/shm");
}

Result<Fd> OpenFolder(const char* path) {
  Fd folder(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return std::unexpected(ErrnoError(path));
  return folder;
}

Result<void> RaiseLoopback() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  return Checked(socket ? ::ioctl(socket.Get(), SIOCSIFFLAGS, &request) : -1, "raise loopback");
}

// From root to a host user that owns nothing, in a user namespace that knows only this one user.
Result<void> BecomeNobody(uid_t host) {
  TRY(Checked(::setgroups(0, nullptr), "setgroups"));
  TRY(Checked(::setresgid(host, host, host), "setresgid"));
  TRY(Checked(::setresuid(host, host, host), "setresuid"));
  TRY(Checked(::prctl(PR_SET_DUMPABLE, 1), "prctl"));  // else its own maps are root's to write
  TRY(Checked(::unshare(CLONE_NEWUSER), "make a user namespace"));
  TRY(WriteSmallFile("/proc/self/setgroups", "deny"));
  TRY(WriteSmallFile("/proc/self/uid_map", fmt::format("{} {} 1\n", kInsideUid, host)));
  TRY(WriteSmallFile("/proc/self/gid_map", fmt::format("{} {} 1\n", kInsideGid, host)));
  return {};
}

Result<void> DropCapabilities() {
  constexpr unsigned long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  TRY(Checked(::prctl(PR_SET_SECUREBITS, kBits), "set the secure bits"));
  for (unsigned long cap = 0; ::prctl(PR_CAPBSET_READ, cap) >= 0; ++cap) {
    TRY(Checked(::prctl(PR_CAPBSET_DROP, cap), "drop a capability"));
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  TRY(Checked(static_cast<int>(::syscall(SYS_capset, &header, none)), "drop capabilities"));
  return Checked(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

// A resolver's address is of use only where there is a way to it.
Result<void> MountResolver(const std::string& text) {
  Fd file(::open("/mnt/resolv.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file || ::write(file.Get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return std::unexpected(ErrnoError("write resolv.conf"));
  }
  Fd tree(OpenTreeClone("/mnt/resolv.conf"));
  TRY(Checked(tree ? SealMount(tree.Get()) : -1, "seal resolv.conf"));
  return Checked(MoveMount(tree.Get(), "/etc/resolv.conf"), "mount resolv.conf");
}

Result<void> EnterRoot(const std::string& root, const SandboxSpec& spec) {
  TRY(auto sources, OpenSources(spec));
  std::string resolver;
  if (spec.network == Network::kEgress) {
    TRY(resolver, EgressResolver());
  }
  if (!spec.image.empty()) TRY(CoverWithImage(root, spec));
  TRY(Checked(::chdir(root.c_str()), "enter the root tree"));
  TRY(Checked(PivotRoot(".", "."), "pivot_root"));  // now "." is the old root, "/" the new one
  TRY(MountProc(spec.clonable));
  TRY(MountTmp(spec));
  TRY(MountSources(sources));
  if (!resolver.empty()) {
    TRY(MountResolver(resolver));
  }
  TRY(Checked(::umount2(".", MNT_DETACH), "leave the host's root"));
  return Checked(::chdir("/"), "chdir");
}

// Keeps descriptors 0 to 2 and `setup`, as 3: copies of the spawner's others would keep sockets
// open that should close with it.
Result<void> CloseOthers(int* setup) {
  TRY(Checked(::dup2(*setup, 3) == 3 ? 0 : -1, "dup2"));
  *setup = 3;
  return Checked(CloseRange(4, ~0u, 0), "close_range");
}

// All that needs no order.
Result<void> PrepareShell(const ShellPlan& plan, int* setup) {
  TRY(Checked(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl"));
  TRY(plan.cgroup->Join());
  TRY(CloseOthers(setup));
  constexpr std::string_view kHostName = "sandbox";
  TRY(Checked(::sethostname(kHostName.data(), kHostName.size()), "sethostname"));
  return RaiseLoopback();
}

struct Order {
  SandboxSpec spec;
  Fd log, channel;
  Fd control;   // of the clonable, and of those started ahead
  Fd lifeline;  // of the clonable
};

Result<Packet> WaitForPacket(int setup) {
  for (;;) {
    pollfd wait{setup, POLLIN, 0};
    (void)::poll(&wait, 1, -1);
    TRY(auto packet, ReceivePacket(setup));
    if (packet) return std::move(*packet);
  }
}

Result<Order> WaitForOrder(int setup) {
  TRY(auto packet, WaitForPacket(setup));
  TRY(auto order, DecodeOrder(packet.body));
  const SandboxSpec& spec = order.spec;
  std::size_t more = spec.clonable ? 2 : spec.boot ? 1 : 0;
  if (packet.fds.size() != 1u + (spec.channel ? 1 : 0) + more) {
    return Fail(Code::kInternal, "an order came without its descriptors");
  }
  auto next = packet.fds.begin();
  Order taken;
  taken.log = std::move(*next++);
  if (spec.channel) taken.channel = std::move(*next++);
  if (more > 0) taken.control = std::move(*next++);
  if (more > 1) taken.lifeline = std::move(*next++);
  taken.spec = std::move(order.spec);
  return taken;
}

Result<void> Prepare(const ShellPlan& plan, Order& order, int* setup) {
  Fd listener;
  if (order.spec.runtime_api) {
    TRY(listener, ListenOnLoopback(9001));
  }
  TRY(EnterRoot(plan.root, order.spec));
  TRY(auto tmp, OpenFolder("/tmp"));
  TRY(auto shm, OpenFolder("/dev/shm"));
  TRY(BecomeNobody(plan.host_uid));
  TRY(DropCapabilities());
  // Nothing of the spawner's memory, of which process 1 is a copy, can be looked at from inside.
  TRY(Checked(::prctl(PR_SET_DUMPABLE, 0), "prctl"));
  // Again, as the change of identity cleared it.
  TRY(Checked(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl"));
  std::vector<int> fds{tmp.Get(), shm.Get()};
  if (listener) fds.push_back(listener.Get());
  // A spawner that died before the line above is noticed here: nobody holds the other end.
  TRY(SendPacket(*setup, "R", fds));
  if (order.spec.network == Network::kEgress) {
    TRY(WaitForEgress(*setup));
  }
  if (order.lifeline) order.lifeline = Fd(DuplicateAbove(order.lifeline.Get(), 10));
  TRY(PlaceDescriptors(order.log.Get(), order.channel.Get(), order.control.Get(), setup));
  TRY(LimitResources());
  return (order.spec.clonable ? plan.template_filter : plan.filter)->Install();
}

// Process 1 to its end. That of a clonable sandbox outlives the program: clones live in pid
// namespaces below its own, and end with it.
[[noreturn]] void ReapForEver(const ShellPlan& plan, pid_t program, Fd lifeline) {
  if (lifeline) {
    CloseRange(0, static_cast<unsigned>(lifeline.Get()) - 1, 0);
    CloseRange(static_cast<unsigned>(lifeline.Get()) + 1, ~0u, 0);
  } else {
    CloseRange(0, ~0u, 0);
  }
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &child, nullptr);
  for (;;) {
    int status = 0;
    pid_t ended = ::wait4(-1, &status, __WALL | WNOHANG, nullptr);
    if (ended == program) {
      plan.status->store(status + 1);
      if (!lifeline) ::_exit(0);  // the kernel kills the others, and only then reports this end
      lifeline = Fd();            // the spawner sees its end, and ends us when no clone is left
    }
    if (ended <= 0) (void)::sigwaitinfo(&child, nullptr);
  }
}

}  // namespace

void RunShell(const ShellPlan& plan) {
  int setup = plan.setup;
  if (auto prepared = PrepareShell(plan, &setup); !prepared) {
    ReportAndExit(setup, prepared.error());
  }
  auto order = WaitForOrder(setup);
  if (!order) ReportAndExit(setup, order.error());
  if (auto prepared = Prepare(plan, *order, &setup); !prepared) {
    ReportAndExit(setup, prepared.error());
  }
  pid_t program = ::fork();
  if (program < 0) ReportAndExit(setup, ErrnoError("fork"));
  if (program == 0) RunProgram(order->spec, setup);
  ReapForEver(plan, program, std::move(order->lifeline));
}

}  // namespace samovar
