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
#include "sandbox/spawner_protocol.h"

namespace samovar {
namespace {

Result<void> Checked(int answer, std::string_view what) {
  if (answer == 0) return {};
  return std::unexpected(ErrnoError(what));
}

// Sources are opened while the host's tree is still the root.
struct OpenMount {
  const BindMount* mount;
  Fd tree;                  // without overlays: a sealed copy of the source's mount
  std::vector<Fd> overlay;  // with: the layers, highest first
};

Result<std::vector<OpenMount>> OpenSources(const SandboxSpec& spec) {
  std::vector<OpenMount> opened;
  for (const auto& mount : spec.mounts) {
    OpenMount open{.mount = &mount, .tree = {}, .overlay = {}};
    if (mount.overlays.empty()) {
      open.tree = Fd(OpenTreeClone(mount.source.c_str()));
      if (!open.tree || SealMount(open.tree.Get()) != 0) {
        return Fail(Code::kInvalid, ErrnoError("sandbox mount source " + mount.source).message);
      }
    } else {
      for (auto at = mount.overlays.rbegin(); at != mount.overlays.rend(); ++at) {
        open.overlay.emplace_back(::open(at->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!open.overlay.back()) {
          return Fail(Code::kInvalid, ErrnoError("sandbox mount overlay " + *at).message);
        }
      }
      open.overlay.emplace_back(::open(mount.source.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!open.overlay.back()) {
        return Fail(Code::kInvalid, ErrnoError("sandbox mount source " + mount.source).message);
      }
    }
    opened.push_back(std::move(open));
  }
  return opened;
}

Result<void> MountOverlay(const OpenMount& open) {
  // Layers are named by descriptor: option strings end at a page, and paths may hold colons.
  std::string options = "lowerdir=";
  for (const auto& layer : open.overlay) {
    if (!options.ends_with('=')) options += ':';
    options += fmt::format("/proc/self/fd/{}", layer.Get());
  }
  return Checked(::mount("overlay", open.mount->target.c_str(), "overlay",
                         MS_RDONLY | MS_NOSUID | MS_NODEV, options.c_str()),
                 "mount layers on " + open.mount->target);
}

Result<void> MountSources(const std::vector<OpenMount>& opened) {
  for (const auto& open : opened) {
    if (open.tree) {
      TRY(Checked(MoveMount(open.tree.Get(), open.mount->target.c_str()),
                  "mount " + open.mount->source + " on " + open.mount->target));
    } else {
      TRY(MountOverlay(open));
    }
  }
  return {};
}

// As container runtimes do it: what leaks about the host is covered, what steers it is read-only.
Result<void> MountProc() {
  TRY(Checked(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr),
              "mount /proc"));
  for (const char* path : {"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                           "/proc/sched_debug", "/proc/sysrq-trigger", "/proc/kallsyms",
                           "/proc/modules", "/proc/kmsg", "/proc/kpagecgroup"}) {
    if (::mount("/dev/null", path, nullptr, MS_BIND, nullptr) != 0 && errno != ENOENT) {
      return std::unexpected(ErrnoError(fmt::format("cover {}", path)));
    }
  }
  for (const char* path : {"/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/acpi",
                           "/proc/scsi", "/proc/driver"}) {
    Fd tree(OpenTreeClone(path));
    if (!tree && errno == ENOENT) continue;
    if (!tree || SealMount(tree.Get()) != 0 || MoveMount(tree.Get(), path) != 0) {
      return std::unexpected(ErrnoError(fmt::format("make {} read-only", path)));
    }
  }
  return {};
}

// One tmpfs behind /tmp and /dev/shm, so that both share the budget. Answers a descriptor on it.
// It stays mounted where only root may look: unmounting waits for a grace period.
Result<Fd> MountTmp(const SandboxSpec& spec) {
  // An inode costs kernel memory of about a kilobyte, which the hard limit has room for.
  auto options = fmt::format("size={},nr_inodes={},mode=700", spec.tmp_size.count,
                             std::max<std::uint64_t>(1024, spec.tmp_size.count / (16 << 10)));
  TRY(Checked(::mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()),
              "mount /tmp"));
  for (const char* name : {"tmp", "shm"}) {
    std::string path = fmt::format("/mnt/{}", name);
    TRY(Checked(::mkdir(path.c_str(), 0755), "mkdir " + path));
    TRY(Checked(::chmod(path.c_str(), 01777), "chmod " + path));
  }
  TRY(Checked(::mount("/mnt/tmp", "/tmp", nullptr, MS_BIND, nullptr), "mount /tmp"));
  TRY(Checked(::mount("/mnt/shm", "/dev/shm", nullptr, MS_BIND, nullptr), "mount /dev/shm"));
  Fd tmp(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!tmp) return std::unexpected(ErrnoError("open /tmp"));
  return tmp;
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

Result<Fd> EnterRoot(const std::string& root, const SandboxSpec& spec) {
  TRY(auto sources, OpenSources(spec));
  std::string resolver;
  if (spec.network == Network::kEgress) {
    TRY(resolver, EgressResolver());
  }
  TRY(Checked(::chdir(root.c_str()), "enter the root tree"));
  TRY(Checked(PivotRoot(".", "."), "pivot_root"));  // now "." is the old root, "/" the new one
  TRY(MountProc());
  TRY(auto tmp, MountTmp(spec));
  TRY(MountSources(sources));
  if (!resolver.empty()) {
    TRY(MountResolver(resolver));
  }
  TRY(Checked(::umount2(".", MNT_DETACH), "leave the host's root"));
  TRY(Checked(::chdir("/"), "chdir"));
  return tmp;
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
  if (packet.fds.size() != (order.spec.channel ? 2 : 1)) {
    return Fail(Code::kInternal, "an order came without its descriptors");
  }
  Order taken{.spec = std::move(order.spec), .log = std::move(packet.fds[0]), .channel = {}};
  if (taken.spec.channel) taken.channel = std::move(packet.fds[1]);
  return taken;
}

// slirp4netns writes '1' once its interface is up.
Result<void> WaitForEgress(int setup) {
  constexpr int kPatienceMs = 10'000;
  pollfd wait{setup, POLLIN, 0};
  char byte = 0;
  if (::poll(&wait, 1, kPatienceMs) == 1 && ::recv(setup, &byte, 1, 0) == 1 && byte == '1') {
    return {};
  }
  return Fail(Code::kUnavailable, "slirp4netns did not open the way out");
}

Result<void> Prepare(const ShellPlan& plan, const Order& order, int* setup) {
  Fd listener;
  if (order.spec.runtime_api) {
    TRY(listener, ListenOnLoopback(9001));
  }
  TRY(auto tmp, EnterRoot(plan.root, order.spec));
  TRY(BecomeNobody(plan.host_uid));
  TRY(DropCapabilities());
  // Nothing of the spawner's memory, of which process 1 is a copy, can be looked at from inside.
  TRY(Checked(::prctl(PR_SET_DUMPABLE, 0), "prctl"));
  // Again, as the change of identity cleared it.
  TRY(Checked(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl"));
  std::vector<int> fds{tmp.Get()};
  if (listener) fds.push_back(listener.Get());
  // A spawner that died before the line above is noticed here: nobody holds the other end.
  TRY(SendPacket(*setup, "R", fds));
  if (order.spec.network == Network::kEgress) {
    TRY(WaitForEgress(*setup));
  }
  TRY(PlaceDescriptors(order.log.Get(), order.channel.Get(), setup));
  TRY(LimitResources());
  return plan.filter->Install();
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
  CloseRange(0, ~0u, 0);
  for (;;) {
    int status = 0;
    pid_t ended = ::wait4(-1, &status, __WALL, nullptr);
    if (ended == program) {
      plan.status->store(status + 1);
      ::_exit(0);  // the kernel kills the others, and only then reports this end
    }
  }
}

}  // namespace samovar
