// What a Dresser's process does.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <sstream>
#include <vector>

#include "os/linux.h"
#include "os/packet_socket.h"
#include "sandbox/copy_tree.h"
#include "sandbox/dresser.h"
#include "sandbox/sandbox_child.h"
#include "sandbox/sandbox_mounts.h"
#include "sandbox/spawner_protocol.h"

namespace samovar {
namespace {

Result<Packet> NextOrder(int orders) {
  for (;;) {
    pollfd wait{orders, POLLIN, 0};
    (void)::poll(&wait, 1, -1);
    TRY(auto packet, ReceivePacket(orders));
    if (packet) return std::move(*packet);
  }
}

struct Wardrobe {
  Network network = Network::kLoopback;
  Fd tmp_tree, shm_tree;  // detached
  Fd tmp;                 // a folder
};

Result<Fd> Detached(const std::string& path, bool below = false) {
  Fd tree(OpenTreeClone(path.c_str(), below));
  if (!tree) return std::unexpected(ErrnoError("take the mount of " + path));
  return tree;
}

Result<Wardrobe> Prepare(const DresserPlan& plan, const Packet& packet) {
  TRY(auto order, DecodeOrder(packet.body));
  if (packet.fds.size() != 2) return Fail(Code::kInternal, "an order without its descriptors");
  Wardrobe made;
  made.network = order.spec.network;
  std::string place = plan.root + "/mnt";
  TRY(MountTmpfs(place, order.spec.tmp_size));
  TRY(made.tmp_tree, Detached(place + "/tmp"));
  TRY(made.shm_tree, Detached(place + "/shm"));
  made.tmp = Fd(::open((place + "/tmp").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Fd shm(::open((place + "/shm").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!made.tmp || !shm) return std::unexpected(ErrnoError("open the new /tmp"));
  CopyBudget budget;
  TRY(CopyTree(packet.fds[0].Get(), made.tmp.Get(), "/tmp", budget));
  TRY(CopyTree(packet.fds[1].Get(), shm.Get(), "/dev/shm", budget));
  return made;
}

// Only a member of a pid namespace could make its /proc before Linux 6.18.
Fd ProcByMember(int space) {
  struct Shared {
    int space;
    int made;
  } shared{space, -1};
  int own = ::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  if (::setns(space, CLONE_NEWPID) != 0) return {};
  alignas(16) static char stack[64 << 10];
  pid_t member = ::clone(
      [](void* argument) {
        auto* to = static_cast<Shared*>(argument);
        to->made = DetachedProc(-1).Release();
        ::_exit(0);
        return 0;
      },
      stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, &shared);
  (void)::waitpid(member, nullptr, __WALL);
  (void)::setns(own, CLONE_NEWPID);
  ::close(own);
  return Fd(shared.made);
}

Result<Fd> MakeProc(const DresserPlan& plan, int space) {
  Fd proc = DetachedProc(space);
  if (!proc) proc = ProcByMember(space);
  if (!proc) return std::unexpected(ErrnoError("make a clone's /proc"));
  // Covered here, before anyone inside can see it.
  std::string place = plan.root + "/proc";
  if (MoveMount(proc.Get(), place.c_str()) != 0) return std::unexpected(ErrnoError(place));
  TRY(CoverProc(place, plan.root + "/dev/null"));
  return Detached(place, true);
}

// Whether the pid namespace of `pid` is `space` or lies below it.
bool IsWithin(const std::string& pid, const struct stat& space) {
  Fd at(::open(fmt::format("/proc/{}/ns/pid", pid).c_str(), O_RDONLY | O_CLOEXEC));
  constexpr unsigned long kGetParent = _IO(0xb7, 2);
  while (at) {
    struct stat seen{};
    if (::fstat(at.Get(), &seen) == 0 && seen.st_ino == space.st_ino) return true;
    at = Fd(::ioctl(at.Get(), kGetParent));
  }
  return false;
}

// A template could start more than the two in the clone's namespace: they would stay in its own
// cgroup, so that to freeze the clone or to count its memory would miss them.
Result<void> CheckAlone(int members, int space) {
  struct stat seen{};
  ::fstat(space, &seen);
  std::string text(128 << 10, '\0');
  ssize_t got = ::pread(members, text.data(), text.size(), 0);
  if (got < 0 || got == static_cast<ssize_t>(text.size())) {
    return Fail(Code::kUnavailable, "the template has too many processes");
  }
  text.resize(static_cast<std::size_t>(got));
  std::istringstream pids(text);
  for (std::string pid; pids >> pid;) {
    if (IsWithin(pid, seen)) return Fail(Code::kDenied, "the clone brought other processes along");
  }
  return {};
}

Result<void> Dress(const DresserPlan& plan, const Wardrobe& wardrobe, const Packet& packet) {
  int init = 0, program = 0;
  if (packet.fds.size() != 3 || std::sscanf(packet.body.c_str(), "%d %d", &init, &program) != 2) {
    return Fail(Code::kInternal, "an order without its descriptors");
  }
  int mounts = packet.fds[0].Get(), pids = packet.fds[1].Get();
  TRY(plan.cgroup->Take(init));
  TRY(plan.cgroup->Take(program));
  TRY(CheckAlone(packet.fds[2].Get(), pids));
  TRY(auto proc, MakeProc(plan, pids));
  if (::setns(mounts, CLONE_NEWNS) != 0) return std::unexpected(ErrnoError("enter a clone"));
  for (auto [tree, target] : {std::pair(proc.Get(), "/proc"),
                              {wardrobe.tmp_tree.Get(), "/tmp"},
                              {wardrobe.shm_tree.Get(), "/dev/shm"}}) {
    if (MoveMount(tree, target) != 0) return std::unexpected(ErrnoError(target));
  }
  int tmp = wardrobe.tmp.Get();
  TRY(SendPacket(plan.orders, "R", std::span(&tmp, 1)));
  if (wardrobe.network == Network::kEgress) {
    TRY(WaitForEgress(plan.orders));
    TRY(SendPacket(plan.orders, "W"));
  }
  return {};
}

// The function's own mounts, made here and detached: an overlay cannot be made from within a pid
// namespace that this process is not of, as its layers are named by /proc/self.
Result<std::vector<Fd>> FunctionMounts(const std::string& place, const SandboxSpec& spec,
                                       std::vector<std::string>& targets) {
  SandboxSpec here;
  for (const auto& mount : spec.mounts) {
    bool there = std::ranges::any_of(
        spec.boot->mounts, [&](const auto& booted) { return booted.target == mount.target; });
    if (there) continue;
    targets.push_back(mount.target);
    here.mounts.push_back(
        {mount.source, fmt::format("{}/m{}", place, targets.size()), mount.overlays});
    if (::mkdir(here.mounts.back().target.c_str(), 0755) != 0) {
      return std::unexpected(ErrnoError("make a mount point"));
    }
  }
  TRY(auto sources, OpenSources(here));
  TRY(MountSources(sources));
  std::vector<Fd> trees;
  for (const auto& mount : here.mounts) {
    TRY(auto tree, Detached(mount.target));
    trees.push_back(std::move(tree));
  }
  return trees;
}

Result<void> TakeIn(const DresserPlan& plan, const Packet& packet) {
  TRY(auto order, DecodeOrder(packet.body));
  std::string place = plan.root + "/mnt";
  TRY(MountTmpfs(place, order.spec.tmp_size));
  std::vector<std::string> targets;
  TRY(auto trees, FunctionMounts(place, order.spec, targets));
  for (const char* name : {"tmp", "shm"}) {
    TRY(auto tree, Detached(fmt::format("{}/{}", place, name)));
    trees.push_back(std::move(tree));
  }
  targets.insert(targets.end(), {"/tmp", "/dev/shm"});
  Fd tmp(::open((place + "/tmp").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!tmp) return std::unexpected(ErrnoError("open the new /tmp"));
  if (::setns(packet.fds[0].Get(), CLONE_NEWNS) != 0) {
    return std::unexpected(ErrnoError("enter a sandbox"));
  }
  for (std::size_t i = 0; i < trees.size(); ++i) {
    if (MoveMount(trees[i].Get(), targets[i].c_str()) != 0) {
      return std::unexpected(ErrnoError("mount " + targets[i]));
    }
  }
  int fd = tmp.Get();
  TRY(SendPacket(plan.orders, "R", std::span(&fd, 1)));
  return {};
}

Result<void> Serve(DresserPlan& plan) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return std::unexpected(ErrnoError("prctl"));
  ::prctl(PR_SET_NAME, "samovar-dresser");
  TRY(plan.cgroup->Join());
  // Copies of the spawner's descriptors would keep sockets open that should close with it; but the
  // cgroup's are of use.
  int orders = DuplicateAbove(plan.orders, 3);
  TRY(plan.cgroup->KeepOnly(orders));
  plan.orders = orders;
  TRY(auto first, NextOrder(orders));
  if (first.fds.size() == 1) return TakeIn(plan, first);
  TRY(auto wardrobe, Prepare(plan, first));
  TRY(auto second, NextOrder(orders));
  return Dress(plan, wardrobe, second);
}

}  // namespace

void RunDresser(const DresserPlan& given) {
  DresserPlan plan = given;
  if (auto served = Serve(plan); !served) ReportAndExit(plan.orders, served.error());
  ::_exit(0);
}

}  // namespace samovar
