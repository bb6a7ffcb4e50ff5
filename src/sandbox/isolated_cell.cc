// Cells of isolation "full": namespaces, cgroups, seccomp, the shared root tree.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <optional>
#include <set>

#include "base/log.h"
#include "os/cgroup.h"
#include "os/egress_guard.h"
#include "os/linux.h"
#include "os/packet_socket.h"
#include "os/seccomp_filter.h"
#include "sandbox/cell.h"
#include "sandbox/egress.h"
#include "sandbox/root_tree.h"
#include "sandbox/sandbox_child.h"

namespace samovar {
namespace {

constexpr unsigned kSlots = 1 << 14;  // sandboxes at once
constexpr std::size_t kSpares = 4;    // shells kept ready: about 0.3 MB each
constexpr int kDiscardTries = 2000;   // of a millisecond each
constexpr std::uint64_t kNamespaces =
    CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;

// The kernel's bound on everything charged to the sandbox. Its processes are held to spec.memory by
// CheckMemory(); this leaves room for /tmp and for what the kernel keeps for them.
Bytes HardMemory(const SandboxSpec& spec) {
  Bytes kernel = Bytes::MiB(32) + Bytes{(spec.memory.count + spec.tmp_size.count) / 16};
  return spec.memory + spec.tmp_size + kernel;
}

struct Shared {
  RootTree root;
  CgroupTree cgroups;
  SeccompFilter filter;
  unsigned first_uid = 0;
  SharedStatus* statuses = nullptr;  // one a slot
  std::set<unsigned> free_slots;
};

// A process in namespaces and a cgroup of its own that waits for its order; see sandbox_child.h.
class Shell {
 public:
  explicit Shell(Shared& shared) : shared_(shared), slot_(*shared.free_slots.begin()) {
    shared_.free_slots.erase(slot_);
    shared_.statuses[slot_].store(0);
  }
  Shell(const Shell&) = delete;
  ~Shell() { shared_.free_slots.insert(slot_); }

  Result<void> Start(std::uint64_t number) {
    TRY(cgroup, shared_.cgroups.Create(fmt::format("s{}", number)));
    TRY(auto sockets, PacketSocketPair());
    int descriptor = -1;
    pid = CloneProcess(kNamespaces, &descriptor);
    if (pid == 0) {
      RunShell({.root = shared_.root.path(),
                .host_uid = uid(),
                .cgroup = &cgroup,
                .filter = &shared_.filter,
                .setup = sockets.second.Get(),
                .status = &shared_.statuses[slot_]});
    }
    if (pid < 0) {
      Error error = ErrnoError("clone a sandbox");
      cgroup.Remove();
      error.code = Code::kUnavailable;
      return std::unexpected(std::move(error));
    }
    pidfd = Fd(descriptor);
    setup = std::move(sockets.first);
    return {};
  }

  bool Alive() const {
    pollfd end{pidfd.Get(), POLLIN, 0};
    return ::poll(&end, 1, 0) == 0;
  }
  uid_t uid() const { return shared_.first_uid + slot_; }
  // Wait status of the user's program, or nothing where it never ended by itself.
  std::optional<int> ProgramStatus() const {
    std::int32_t stored = shared_.statuses[slot_].load();
    return stored == 0 ? std::nullopt : std::optional(stored - 1);
  }

  pid_t pid = -1;
  Fd pidfd, setup;
  Cgroup cgroup;

 private:
  Shared& shared_;
  unsigned slot_;
};

class IsolatedCell final : public Cell {
 public:
  IsolatedCell(SandboxSpec spec, std::unique_ptr<Shell> shell, int network_group)
      : Cell(std::move(spec)), shell_(std::move(shell)), network_group_(network_group) {
    pidfd_ = std::move(shell_->pidfd);
    setup_ = std::move(shell_->setup);
  }

  Result<void> Start(RootTree& root) {
    for (const auto& mount : spec_.mounts) {
      struct stat status{};
      if (::stat(mount.source.c_str(), &status) != 0) {
        return Fail(Code::kInvalid, ErrnoError("sandbox mount source " + mount.source).message);
      }
      TRY(root.MakeMountPoint(mount.target, S_ISDIR(status.st_mode)));
    }
    TRY(auto pipes, CellPipes::Make(spec_));
    // So that /dev/stdout can be opened by name inside.
    (void)::fchown(pipes.log_write.Get(), shell_->uid(), shell_->uid());
    TRY(shell_->cgroup.SetLimits(HardMemory(spec_), spec_.max_processes + 1));
    bell_ = shell_->cgroup.WatchOom();
    std::vector<int> fds{pipes.log_write.Get()};
    if (spec_.channel) fds.push_back(pipes.channel_theirs.Get());
    auto order = EncodeOrder({SpawnerOrder::Kind::kCreate, 0, spec_});
    TRY(auto sent, SendPacket(setup_.Get(), order, fds));
    if (!sent) return Fail(Code::kInternal, "a sandbox takes no order");
    log_ = std::move(pipes.log_read);
    channel_ = std::move(pipes.channel_ours);
    return {};
  }

  // After a Start() that failed: what would have been reported by the loop. All others wait for
  // this, so a cgroup that stays is left: the next spawner removes it, or this one as it ends.
  void Discard() {
    Kill();
    (void)Reap();
    for (int tries = 0; !Remove(); ++tries) {
      if (tries == kDiscardTries) return LogWarn("the cgroup of a sandbox could not be removed");
      ::usleep(1000);
    }
  }

  Result<bool> Ready(std::vector<Fd> fds) override {
    if (fds.empty()) return Fail(Code::kInternal, "a sandbox came without its /tmp");
    tmp_ = std::move(fds[0]);
    if (fds.size() > 1) listener_ = std::move(fds[1]);
    if (spec_.network != Network::kEgress) return false;
    TRY(egress_, StartEgress(shell_->pid, network_group_, setup_.Get()));
    return true;
  }

  std::vector<Fd> Handover(SpawnerReport& report) override {
    std::vector<Fd> fds;
    auto hand = [&](Fd fd) {
      bool there = static_cast<bool>(fd);
      if (there) fds.push_back(std::move(fd));
      return there;
    };
    hand(std::move(log_));
    report.channel = hand(std::move(channel_));
    report.runtime_api = hand(std::move(listener_));
    report.memory = hand(shell_->cgroup.OpenMemoryStat());
    report.tmp = hand(Fd(DuplicateAbove(tmp_.Get(), 3)));
    return fds;
  }

  void Kill() override {
    (void)PidfdSendSignal(pidfd_.Get(), SIGKILL);  // process 1: the namespace goes with it
    if (frozen_) (void)Freeze(false);              // version 1 does not kill the frozen
  }

  Result<void> Freeze(bool frozen) override {
    TRY(shell_->cgroup.Freeze(frozen));
    frozen_ = frozen;
    return {};
  }

  Result<void> UseCpuLimit() override { return shell_->cgroup.SetCpus(spec_.cpus); }

  std::chrono::milliseconds CheckMemory() override {
    constexpr std::chrono::milliseconds kLater{1000};
    std::uint64_t rings;
    bool rang = bell_ && ::read(bell_.Get(), &rings, sizeof rings) > 0;
    if (!tmp_ || out_of_memory_) return kLater;
    if (rang && shell_->cgroup.KernelOom()) return OutOfMemory();
    if (frozen_) return kLater;
    Bytes all = shell_->cgroup.Usage();
    if (all <= spec_.memory) {
      return TimeToFill(spec_.memory - all);
    }
    CgroupMemory now = shell_->cgroup.Memory();
    struct statfs tmp{};
    ::fstatfs(tmp_.Get(), &tmp);
    Bytes in_tmp{(tmp.f_blocks - tmp.f_bfree) * static_cast<std::uint64_t>(tmp.f_bsize)};
    Bytes own = now.anonymous + (now.shared - in_tmp);
    most_own_ = std::max(most_own_, own);
    if (own > spec_.memory) return OutOfMemory();
    return TimeToFill(spec_.memory - own);
  }

  SandboxExit Reap() override {
    int status = 0;
    rusage usage{};
    while (::wait4(shell_->pid, &status, __WALL, &usage) < 0 && errno == EINTR) {
    }
    status = shell_->ProgramStatus().value_or(status);
    SandboxExit exit;
    if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
    if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
    exit.out_of_memory = out_of_memory_ || shell_->cgroup.KernelOom();
    if (exit.out_of_memory) {
      exit.code = 0;
      exit.signal = SIGKILL;
      exit.max_memory = spec_.memory;
    } else {
      // The largest process (children of process 1), unless more was seen in all.
      Bytes largest{static_cast<std::uint64_t>(usage.ru_maxrss) << 10};
      Bytes peak = shell_->cgroup.PeakUsage();
      if (peak.count != 0) largest = std::min(largest, peak);
      exit.max_memory = std::min(std::max(most_own_, largest), spec_.memory);
    }
    tmp_ = Fd();
    egress_.reset();
    return exit;
  }

  bool Remove() override { return shell_->cgroup.Remove(); }

 private:
  std::chrono::milliseconds OutOfMemory() {
    out_of_memory_ = true;
    Kill();
    return std::chrono::milliseconds(1000);
  }

  std::unique_ptr<Shell> shell_;
  int network_group_;
  Fd log_, channel_, listener_, tmp_;
  std::unique_ptr<Egress> egress_;
  bool frozen_ = false;
  bool out_of_memory_ = false;
  Bytes most_own_;
};

class IsolatedCells final : public CellMaker {
 public:
  explicit IsolatedCells(Shared shared) : shared_(std::move(shared)) {
    for (unsigned slot = 0; slot < kSlots; ++slot) shared_.free_slots.insert(slot);
  }
  ~IsolatedCells() override { shared_.cgroups.Remove(); }

  Result<std::unique_ptr<Cell>> Make(SandboxSpec spec) override {
    if (spec.network == Network::kEgress) {
      TRY(OpenWayOut());
    }
    TRY(auto shell, TakeShell());
    auto cell =
        std::make_unique<IsolatedCell>(std::move(spec), std::move(shell), network_group_.Get());
    if (auto started = cell->Start(shared_.root); !started) {
      cell->Discard();
      return std::unexpected(started.error());
    }
    return cell;
  }

  bool Refill() override {
    if (spares_.size() >= kSpares) return false;
    auto shell = NewShell();
    if (!shell) return false;
    spares_.push_back(std::move(*shell));
    return true;
  }

 private:
  // Once: the guarded cgroup in which slirp4netns runs for every sandbox.
  Result<void> OpenWayOut() {
    if (network_group_) return {};
    Fd group = shared_.cgroups.OpenNetworkGroup();
    if (!group) return {};  // StartEgress() says what is missing
    TRY(GuardEgress(group.Get()));
    network_group_ = std::move(group);
    return {};
  }

  Result<std::unique_ptr<Shell>> NewShell() {
    if (shared_.free_slots.empty()) {
      return Fail(Code::kUnavailable, fmt::format("{} sandboxes are the most at once", kSlots));
    }
    auto shell = std::make_unique<Shell>(shared_);
    TRY(shell->Start(++made_));
    return shell;
  }

  Result<std::unique_ptr<Shell>> TakeShell() {
    while (!spares_.empty()) {
      auto shell = std::move(spares_.front());
      spares_.pop_front();
      if (shell->Alive()) return shell;
      while (::waitpid(shell->pid, nullptr, __WALL) < 0 && errno == EINTR) {
      }
      shell->cgroup.Remove();
    }
    return NewShell();
  }

  Shared shared_;
  Fd network_group_;
  std::deque<std::unique_ptr<Shell>> spares_;
  std::uint64_t made_ = 0;
};

// Whether an ordinary user of this host may make a user namespace, as each sandbox does.
Result<void> ProbeUserNamespaces(uid_t uid) {
  pid_t child = ::fork();
  if (child < 0) return std::unexpected(ErrnoError("fork"));
  if (child == 0) {
    if (::setresuid(uid, uid, uid) != 0 || ::unshare(CLONE_NEWUSER) != 0) ::_exit(errno & 0x7f);
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Fail(
      Code::kUnsupported,
      ErrnoError("user namespaces are not to be had (see the sysctls user.max_user_namespaces"
                 " and kernel.unprivileged_userns_clone)",
                 WEXITSTATUS(status))
          .message);
}

}  // namespace

Result<std::unique_ptr<CellMaker>> MakeIsolatedCells(const std::string& name) {
  Shared shared;
  // 2^30 to 2^31 holds no users of ordinary hosts; each server has 2^14 of them, chosen by name.
  auto part = static_cast<unsigned>(std::hash<std::string>{}(name) & 0xffff);
  shared.first_uid = (1u << 30) | part << 14;
  TRY(ProbeUserNamespaces(shared.first_uid));
  TRY(shared.cgroups, CgroupTree::Open(name));
  TRY(shared.root, RootTree::Build());
  TRY(shared.filter, SeccompFilter::Build());
  void* memory = ::mmap(nullptr, kSlots * sizeof(SharedStatus), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return std::unexpected(ErrnoError("mmap"));
  shared.statuses = static_cast<SharedStatus*>(memory);
  return std::make_unique<IsolatedCells>(std::move(shared));
}

}  // namespace samovar
