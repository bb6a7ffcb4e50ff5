#include "sandbox/clone_parties.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <sstream>
#include <vector>

#include "os/linux.h"

namespace samovar {
namespace {

Result<Namespaces> NamespacesOf(int proc) {
  Namespaces found{};
  for (std::size_t i = 0; i < found.size(); ++i) {
    struct stat status{};
    auto path = fmt::format("ns/{}", kNamespaceNames[i]);
    if (::fstatat(proc, path.c_str(), &status, 0) != 0) return std::unexpected(ErrnoError(path));
    found[i] = status.st_ino;
  }
  return found;
}

Result<Fd> OpenProc(pid_t pid) {
  Fd proc(::open(fmt::format("/proc/{}", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return std::unexpected(ErrnoError("look at a process"));
  return proc;
}

// /proc/PID/cgroup without the hierarchies in which the process is at the root: those come and go
// with other programs of the host.
Result<std::string> CgroupsOf(int proc) {
  TRY(auto text, ReadSmallFileAt(proc, "cgroup"));
  std::istringstream lines(text);
  std::string own;
  for (std::string line; std::getline(lines, line);) {
    if (!line.ends_with(":/")) own += line + "\n";
  }
  return own;
}

// The words of a line of /proc/PID/status.
std::vector<long> Numbers(const std::string& status, std::string_view key) {
  std::size_t at = status.find(key);
  std::vector<long> numbers;
  if (at == std::string::npos) return numbers;
  at += key.size();
  std::istringstream words(status.substr(at, status.find('\n', at) - at));
  for (long number; words >> number;) numbers.push_back(number);
  return numbers;
}

Result<void> CheckStatus(int proc, pid_t pid, bool is_init, uid_t uid) {
  TRY(auto status, ReadSmallFileAt(proc, "status"));
  for (const char* key : {"\nUid:", "\nGid:"}) {
    for (long id : Numbers(status, key)) {
      if (id != static_cast<long>(uid)) return Fail(Code::kDenied, "another user's process");
    }
  }
  if (Numbers(status, "\nTgid:") != std::vector<long>{pid}) {
    return Fail(Code::kDenied, "a thread, not a process");
  }
  auto pids = Numbers(status, "\nNSpid:");
  if (pids.empty() || (pids.back() == 1) != is_init) {
    return Fail(Code::kDenied,
                is_init ? "not the first of its pid namespace" : "the first of its pid namespace");
  }
  return {};
}

}  // namespace

Result<TemplateMark> TemplateMark::Of(pid_t pid, uid_t uid) {
  TemplateMark mark;
  mark.uid = uid;
  TRY(auto proc, OpenProc(pid));
  TRY(mark.cgroup, CgroupsOf(proc.Get()));
  TRY(mark.namespaces, NamespacesOf(proc.Get()));
  return mark;
}

Result<CloneParty> CloneParty::Of(pid_t pid, bool is_init, const TemplateMark& mark) {
  if (pid <= 1) return Fail(Code::kDenied, "a sender out of sight");
  CloneParty party;
  party.pid = pid;
  party.pidfd = PidfdOpen(pid);
  TRY(auto proc, OpenProc(pid));
  TRY(CheckStatus(proc.Get(), pid, is_init, mark.uid));
  TRY(auto cgroup, CgroupsOf(proc.Get()));
  if (cgroup != mark.cgroup) return Fail(Code::kDenied, "in another cgroup than its template");
  party.pids = Fd(::openat(proc.Get(), "ns/pid", O_RDONLY | O_CLOEXEC));
  party.mounts = Fd(::openat(proc.Get(), "ns/mnt", O_RDONLY | O_CLOEXEC));
  TRY(party.namespaces, NamespacesOf(proc.Get()));
  constexpr unsigned long kGetParent = _IO(0xb7, 2);
  Fd parent(::ioctl(party.pids.Get(), kGetParent));
  struct stat above{}, mounts{};
  if (!parent || ::fstat(parent.Get(), &above) != 0 || above.st_ino != mark.namespaces[0]) {
    return Fail(Code::kDenied, "not in a pid namespace right below its template's");
  }
  for (std::size_t i = 0; i < party.namespaces.size(); ++i) {
    if (party.namespaces[i] == mark.namespaces[i]) {
      return Fail(Code::kDenied, fmt::format("in its template's {} namespace", kNamespaceNames[i]));
    }
  }
  if (!party.mounts || ::fstat(party.mounts.Get(), &mounts) != 0 ||
      mounts.st_ino != party.namespaces[1]) {
    return Fail(Code::kDenied, "changing its namespaces");
  }
  // Alive now, so all of the above was about this very process.
  if (!party.pidfd || PidfdEnded(party.pidfd.Get())) return Fail(Code::kDenied, "no more there");
  return party;
}

}  // namespace samovar
