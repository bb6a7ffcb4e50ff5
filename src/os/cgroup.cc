#include "os/cgroup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <sstream>

#include "os/linux.h"

namespace samovar {
namespace {

enum Controller { kMemory, kCpu, kPids, kFreezer };

// A short period: a tenth of a CPU is 2 ms of every 20 ms, not 10 ms and then a wait of 90.
constexpr int kPeriodUs = 20'000;
constexpr int kLeastQuotaUs = 1'000;  // the kernel's own least

}  // namespace

CgroupMemory ParseMemoryStat(const std::string& text) {
  CgroupMemory memory;
  // Version 2 says "anon", version 1 "total_rss" (with huge pages in it).
  memory.anonymous.count = NumberAfter(text, "anon ") + NumberAfter(text, "total_rss ");
  std::uint64_t total = NumberAfter(text, "total_shmem ");
  memory.shared.count = total ? total : NumberAfter(text, "shmem ");
  return memory;
}

int Cgroup::Dir(const char* controller) const {
  if (parts_.empty()) return -1;
  if (v2_) return parts_[0].dir.Get();
  std::string_view name = controller;
  if (name == "memory") return parts_[kMemory].dir.Get();
  if (name == "cpu") return parts_[kCpu].dir.Get();
  if (name == "pids") return parts_[kPids].dir.Get();
  return parts_[kFreezer].dir.Get();
}

Result<void> Cgroup::Join() {
  for (auto& part : parts_) TRY(WriteSmallFileAt(part.dir.Get(), "cgroup.procs", "0"));
  return {};
}

Result<void> Cgroup::Take(pid_t pid) {
  for (auto& part : parts_) {
    TRY(WriteSmallFileAt(part.dir.Get(), "cgroup.procs", std::to_string(pid)));
  }
  return {};
}

Result<void> Cgroup::SetLimits(Bytes hard_memory, int max_processes) {
  std::string limit = std::to_string(hard_memory.count);
  int memory = Dir("memory");
  if (v2_) {
    TRY(WriteSmallFileAt(memory, "memory.max", limit));
    (void)WriteSmallFileAt(memory, "memory.swap.max", "0");
    TRY(WriteSmallFileAt(memory, "memory.oom.group", "1"));
  } else {
    // The second is absent where the kernel was built or booted without swap accounting. It is
    // never the smaller one: raised before, lowered after.
    (void)WriteSmallFileAt(memory, "memory.memsw.limit_in_bytes", limit);
    TRY(WriteSmallFileAt(memory, "memory.limit_in_bytes", limit));
    (void)WriteSmallFileAt(memory, "memory.memsw.limit_in_bytes", limit);
    (void)WriteSmallFileAt(memory, "memory.swappiness", "0");
  }
  return WriteSmallFileAt(Dir("pids"), "pids.max", std::to_string(max_processes));
}

Result<void> Cgroup::SetCpus(double cpus) {
  int quota = std::max(kLeastQuotaUs, static_cast<int>(std::lround(cpus * kPeriodUs)));
  if (v2_) return WriteSmallFileAt(Dir("cpu"), "cpu.max", fmt::format("{} {}", quota, kPeriodUs));
  TRY(WriteSmallFileAt(Dir("cpu"), "cpu.cfs_period_us", std::to_string(kPeriodUs)));
  return WriteSmallFileAt(Dir("cpu"), "cpu.cfs_quota_us", std::to_string(quota));
}

Result<void> Cgroup::Freeze(bool frozen) {
  if (v2_) return WriteSmallFileAt(Dir("freezer"), "cgroup.freeze", frozen ? "1" : "0");
  return WriteSmallFileAt(Dir("freezer"), "freezer.state", frozen ? "FROZEN" : "THAWED");
}

CgroupMemory Cgroup::Memory() {
  char text[8192];
  ssize_t got = stat_ ? ::pread(stat_.Get(), text, sizeof text, 0) : -1;
  return got > 0 ? ParseMemoryStat({text, static_cast<std::size_t>(got)}) : CgroupMemory{};
}

Bytes Cgroup::Usage() {
  char text[32] = {};
  ssize_t got = usage_ ? ::pread(usage_.Get(), text, sizeof text - 1, 0) : -1;
  return got > 0 ? Bytes{std::strtoull(text, nullptr, 10)} : Bytes{};
}

Bytes Cgroup::PeakUsage() {
  auto text = ReadSmallFileAt(Dir("memory"), v2_ ? "memory.peak" : "memory.max_usage_in_bytes");
  return text ? Bytes{NumberAfter(*text, "")} : Bytes{};
}

bool Cgroup::KernelOom() {
  auto text = ReadSmallFileAt(Dir("memory"), v2_ ? "memory.events" : "memory.oom_control");
  return text && NumberAfter(*text, "oom_kill ") > 0;
}

Fd Cgroup::OpenMemoryStat() {
  return Fd(::openat(Dir("memory"), "memory.stat", O_RDONLY | O_CLOEXEC));
}

Fd Cgroup::WatchOom() {
  if (v2_) return {};
  Fd bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Fd watched(::openat(Dir("memory"), "memory.oom_control", O_RDONLY | O_CLOEXEC));
  Fd control(::openat(Dir("memory"), "cgroup.event_control", O_WRONLY | O_CLOEXEC));
  if (!bell || !watched || !control) return {};
  auto line = fmt::format("{} {}", bell.Get(), watched.Get());
  if (::write(control.Get(), line.data(), line.size()) < 0) return {};
  return bell;
}

std::vector<pid_t> Cgroup::Members() {
  std::vector<pid_t> pids;
  if (parts_.empty()) return pids;
  auto text = ReadSmallFileAt(Dir("pids"), "cgroup.procs");
  std::istringstream words(text ? *text : "");
  for (pid_t pid; words >> pid;) pids.push_back(pid);
  return pids;
}

Fd Cgroup::OpenMembers() { return Fd(::openat(Dir("pids"), "cgroup.procs", O_RDONLY | O_CLOEXEC)); }

Result<void> Cgroup::KeepOnly(int kept) {
  usage_.Release();  // their numbers are given out anew
  stat_.Release();
  std::vector<int> keep{kept};
  for (const auto& part : parts_) keep.push_back(part.dir.Get());
  std::sort(keep.begin(), keep.end());
  unsigned from = 3;
  for (int fd : keep) {
    auto at = static_cast<unsigned>(fd);
    if (at > from && CloseRange(from, at - 1, 0) != 0) return std::unexpected(ErrnoError("close"));
    from = at + 1;
  }
  if (CloseRange(from, ~0u, 0) != 0) return std::unexpected(ErrnoError("close"));
  return {};
}

bool Cgroup::KillAllBut(pid_t spared) {
  auto pids = Members();
  std::erase(pids, spared);
  if (pids.empty()) return true;
  // Frozen, so that none makes more while the others are told.
  (void)Freeze(true);
  for (pid_t pid : Members()) {
    if (pid > 1 && pid != spared) ::kill(pid, SIGKILL);
  }
  (void)Freeze(false);
  return false;
}

bool Cgroup::Remove() {
  std::erase_if(
      parts_, [](const Part& part) { return ::rmdir(part.path.c_str()) == 0 || errno == ENOENT; });
  return parts_.empty();
}

}  // namespace samovar
