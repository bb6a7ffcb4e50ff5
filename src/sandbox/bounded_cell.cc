#include "sandbox/bounded_cell.h"

#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "os/linux.h"

namespace samovar {
namespace {

// The kernel's bound on everything charged to the sandbox. Its processes are held to spec.memory by
// CheckMemory(); this leaves room for /tmp and for what the kernel keeps for them. The page tables
// of clones (1/512 of what is mapped each) are charged to their template.
Bytes HardMemory(const SandboxSpec& spec) {
  Bytes kernel = Bytes::MiB(32) + Bytes{(spec.memory.count + spec.tmp_size.count) / 16};
  if (spec.clonable) kernel = kernel + Bytes::MiB(128) + Bytes{spec.memory.count / 2};
  return spec.memory + spec.tmp_size + kernel;
}

}  // namespace

Result<void> BoundedCell::Bound(CellPipes& pipes, uid_t uid) {
  // So that /dev/stdout can be opened by name inside.
  (void)::fchown(pipes.log_write.Get(), uid, uid);
  TRY(SetLimits());
  bell_ = cgroup().WatchOom();
  log_ = std::move(pipes.log_read);
  channel_ = std::move(pipes.channel_ours);
  return {};
}

Result<void> BoundedCell::SetLimits() {
  return cgroup().SetLimits(HardMemory(spec_), spec_.max_processes + 1);
}

std::vector<Fd> BoundedCell::Handover(SpawnerReport& report) {
  std::vector<Fd> fds;
  auto hand = [&](Fd fd) {
    bool there = static_cast<bool>(fd);
    if (there) fds.push_back(std::move(fd));
    return there;
  };
  hand(std::move(log_));
  report.channel = hand(std::move(channel_));
  report.runtime_api = hand(std::move(listener_));
  report.memory = hand(cgroup().OpenMemoryStat());
  report.tmp = hand(Fd(DuplicateAbove(tmp_.Get(), 3)));
  return fds;
}

Result<void> BoundedCell::Freeze(bool frozen) {
  TRY(cgroup().Freeze(frozen));
  frozen_ = frozen;
  return {};
}

void BoundedCell::Thaw() {
  if (frozen_) (void)Freeze(false);  // version 1 does not kill the frozen
}

std::chrono::milliseconds BoundedCell::CheckMemory() {
  constexpr std::chrono::milliseconds kLater{1000};
  std::uint64_t rings;
  bool rang = bell_ && ::read(bell_.Get(), &rings, sizeof rings) > 0;
  if (!tmp_ || out_of_memory_) return kLater;
  if (rang && cgroup().KernelOom()) return OutOfMemory();
  if (frozen_) return kLater;
  Bytes all = cgroup().Usage();
  if (all <= spec_.memory) {
    return TimeToFill(spec_.memory - all);
  }
  CgroupMemory now = cgroup().Memory();
  struct statfs tmp{};
  ::fstatfs(tmp_.Get(), &tmp);
  Bytes in_tmp{(tmp.f_blocks - tmp.f_bfree) * static_cast<std::uint64_t>(tmp.f_bsize)};
  Bytes own = now.anonymous + (now.shared - in_tmp);
  most_own_ = std::max(most_own_, own);
  if (own > spec_.memory) return OutOfMemory();
  return TimeToFill(spec_.memory - own);
}

std::chrono::milliseconds BoundedCell::OutOfMemory() {
  out_of_memory_ = true;
  Kill();
  return std::chrono::milliseconds(1000);
}

SandboxExit BoundedCell::ExitFrom(int status, Bytes largest) {
  SandboxExit exit;
  if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  exit.out_of_memory = out_of_memory_ || cgroup().KernelOom();
  exit.max_memory = std::min(std::max(most_own_, largest), spec_.memory);
  if (exit.out_of_memory) {
    exit.code = 0;
    exit.signal = SIGKILL;
    exit.max_memory = spec_.memory;
  }
  tmp_ = Fd();
  return exit;
}

}  // namespace samovar
