// Cells of isolation "full": namespaces, cgroups, seccomp, the shared root tree.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "os/cgroup.h"
#include "os/linux.h"
#include "os/seccomp_filter.h"
#include "sandbox/cell.h"
#include "sandbox/egress.h"
#include "sandbox/root_tree.h"
#include "sandbox/sandbox_child.h"

namespace samovar {
namespace {

constexpr unsigned kSlots = 1 << 14;  // sandboxes at once
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

class IsolatedCell final : public Cell {
 public:
  IsolatedCell(SandboxSpec spec, Shared& shared)
      : Cell(std::move(spec)), shared_(shared), slot_(*shared.free_slots.begin()) {
    shared_.free_slots.erase(slot_);
    shared_.statuses[slot_].store(0);
  }
  ~IsolatedCell() override { shared_.free_slots.insert(slot_); }

  Result<void> Start(std::uint64_t number) {
    for (const auto& mount : spec_.mounts) {
      struct stat status{};
      if (::stat(mount.source.c_str(), &status) != 0) {
        return Fail(Code::kInvalid, ErrnoError("sandbox mount source " + mount.source).message);
      }
      TRY(shared_.root.MakeMountPoint(mount.target, S_ISDIR(status.st_mode)));
    }
    TRY(auto pipes, CellPipes::Make(spec_));
    uid_t uid = shared_.first_uid + slot_;
    // So that /dev/stdout can be opened by name inside.
    (void)::fchown(pipes.log_write.Get(), uid, uid);
    TRY(cgroup_, shared_.cgroups.Create(fmt::format("{}.{}", spec_.id, number), HardMemory(spec_),
                                        spec_.max_processes + 1));
    Bytes step = std::max(Bytes::MiB(4), Bytes{spec_.tmp_size.count / 64});
    bell_ = cgroup_.WatchUsage(spec_.memory, step, HardMemory(spec_));
    int pidfd = -1;
    pid_ = CloneProcess(kNamespaces, &pidfd);
    if (pid_ == 0) {
      RunSandboxChild({.spec = spec_,
                       .root = shared_.root.path(),
                       .host_uid = uid,
                       .cgroup = &cgroup_,
                       .filter = &shared_.filter,
                       .log_write = pipes.log_write.Get(),
                       .channel = pipes.channel_theirs.Get(),
                       .setup = pipes.setup_theirs.Get(),
                       .status = &shared_.statuses[slot_]});
    }
    if (pid_ < 0) {
      Error error = ErrnoError("clone a sandbox");
      cgroup_.Remove();
      error.code = Code::kUnavailable;
      return std::unexpected(std::move(error));
    }
    pidfd_ = Fd(pidfd);
    setup_ = std::move(pipes.setup_ours);
    log_ = std::move(pipes.log_read);
    channel_ = std::move(pipes.channel_ours);
    return {};
  }

  Result<bool> Ready(std::vector<Fd> fds) override {
    if (fds.empty()) return Fail(Code::kInternal, "a sandbox came without its /tmp");
    tmp_ = std::move(fds[0]);
    if (fds.size() > 1) listener_ = std::move(fds[1]);
    if (spec_.network != Network::kEgress) return false;
    TRY(egress_, StartEgress(pid_, setup_.Get()));
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
    report.memory = hand(cgroup_.OpenMemoryStat());
    report.tmp = hand(Fd(DuplicateAbove(tmp_.Get(), 3)));
    return fds;
  }

  void Kill() override {
    (void)PidfdSendSignal(pidfd_.Get(), SIGKILL);  // process 1: the namespace goes with it
    if (frozen_) (void)Freeze(false);              // version 1 does not kill the frozen
  }

  Result<void> Freeze(bool frozen) override {
    TRY(cgroup_.Freeze(frozen));
    frozen_ = frozen;
    return {};
  }

  Result<void> UseCpuLimit() override { return cgroup_.SetCpus(spec_.cpus); }

  bool CheckMemory() override {
    std::uint64_t rings;
    if (bell_) (void)!::read(bell_.Get(), &rings, sizeof rings);
    if (!tmp_ || out_of_memory_) return false;
    if (cgroup_.Usage() <= spec_.memory) return !bell_;
    CgroupMemory now = cgroup_.Memory();
    struct statfs tmp{};
    ::fstatfs(tmp_.Get(), &tmp);
    Bytes in_tmp{(tmp.f_blocks - tmp.f_bfree) * static_cast<std::uint64_t>(tmp.f_bsize)};
    Bytes own = now.anonymous + (now.shared - in_tmp);
    peak_ = std::max(peak_, own);
    if (own > spec_.memory) {
      out_of_memory_ = true;
      Kill();
      return false;
    }
    return true;
  }

  SandboxExit Reap() override {
    int status = 0;
    rusage usage{};
    while (::wait4(pid_, &status, __WALL, &usage) < 0 && errno == EINTR) {
    }
    std::int32_t stored = shared_.statuses[slot_].load();
    if (stored != 0) status = stored - 1;
    SandboxExit exit;
    if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
    if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
    exit.out_of_memory = out_of_memory_ || cgroup_.KernelOom();
    if (exit.out_of_memory) {
      exit.code = 0;
      exit.signal = SIGKILL;
      exit.max_memory = spec_.memory;
    } else {
      // The largest process (children of process 1), unless more was ever seen together.
      Bytes largest{static_cast<std::uint64_t>(usage.ru_maxrss) << 10};
      Bytes peak = cgroup_.PeakUsage();
      if (peak.count != 0) largest = std::min(largest, peak);
      exit.max_memory = std::min(std::max(peak_, largest), spec_.memory);
    }
    tmp_ = Fd();
    egress_.reset();
    return exit;
  }

  bool Remove() override { return cgroup_.Remove(); }

 private:
  Shared& shared_;
  unsigned slot_;
  pid_t pid_ = -1;
  Cgroup cgroup_;
  Fd log_, channel_, listener_, tmp_;
  std::unique_ptr<Egress> egress_;
  bool frozen_ = false;
  bool out_of_memory_ = false;
  Bytes peak_;
};

class IsolatedCells final : public CellMaker {
 public:
  explicit IsolatedCells(Shared shared) : shared_(std::move(shared)) {
    for (unsigned slot = 0; slot < kSlots; ++slot) shared_.free_slots.insert(slot);
  }
  ~IsolatedCells() override { shared_.cgroups.Remove(); }

  Result<std::unique_ptr<Cell>> Make(SandboxSpec spec, std::uint64_t number) override {
    if (shared_.free_slots.empty()) {
      return Fail(Code::kUnavailable, fmt::format("{} sandboxes are the most at once", kSlots));
    }
    auto cell = std::make_unique<IsolatedCell>(std::move(spec), shared_);
    TRY(cell->Start(number));
    return cell;
  }

 private:
  Shared shared_;
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
