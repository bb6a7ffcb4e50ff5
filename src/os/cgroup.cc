#include "os/cgroup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>

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
  auto text = ReadSmallFileAt(Dir("memory"), "memory.stat");
  return text ? ParseMemoryStat(*text) : CgroupMemory{};
}

Bytes Cgroup::Usage() {
  auto text = ReadSmallFileAt(Dir("memory"), v2_ ? "memory.current" : "memory.usage_in_bytes");
  return text ? Bytes{NumberAfter(*text, "")} : Bytes{};
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

Fd Cgroup::WatchUsage(Bytes first, Bytes step, Bytes last) {
  if (v2_) return {};
  Fd bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Fd usage(::openat(Dir("memory"), "memory.usage_in_bytes", O_RDONLY | O_CLOEXEC));
  Fd control(::openat(Dir("memory"), "cgroup.event_control", O_WRONLY | O_CLOEXEC));
  if (!bell || !usage || !control || step.count == 0) return {};
  for (Bytes at = first; at <= last; at = at + step) {
    auto line = fmt::format("{} {} {}", bell.Get(), usage.Get(), at.count);
    if (::write(control.Get(), line.data(), line.size()) < 0) break;
  }
  return bell;
}

void Cgroup::KillAll() {
  (void)Freeze(false);
  for (auto& part : parts_) {
    auto text = ReadSmallFileAt(part.dir.Get(), "cgroup.procs");
    if (!text) continue;
    for (std::size_t at = 0; at < text->size();) {
      std::size_t end = text->find('\n', at);
      if (end == std::string::npos) break;
      auto pid = static_cast<pid_t>(std::strtol(text->substr(at, end - at).c_str(), nullptr, 10));
      if (pid > 1) ::kill(pid, SIGKILL);
      at = end + 1;
    }
  }
}

bool Cgroup::Remove() {
  std::erase_if(
      parts_, [](const Part& part) { return ::rmdir(part.path.c_str()) == 0 || errno == ENOENT; });
  return parts_.empty();
}

}  // namespace samovar
