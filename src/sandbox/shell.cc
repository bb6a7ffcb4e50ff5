#include "sandbox/shell.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>

#include <csignal>

#include "os/linux.h"
#include "os/packet_socket.h"

namespace samovar {
namespace {

constexpr std::uint64_t kNamespaces =
    CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;

}  // namespace

Shell::Shell(Grounds& grounds) : grounds_(grounds), slot_(*grounds.free_slots.begin()) {
  grounds_.free_slots.erase(slot_);
  grounds_.statuses[slot_].store(0);
}

Shell::~Shell() { grounds_.free_slots.insert(slot_); }

Result<void> Shell::Start() {
  TRY(cgroup, grounds_.cgroups.Create(fmt::format("s{}", ++grounds_.made)));
  TRY(auto sockets, PacketSocketPair());
  int descriptor = -1;
  pid = CloneProcess(kNamespaces, &descriptor);
  if (pid == 0) {
    RunShell({.root = grounds_.root.path(),
              .host_uid = uid(),
              .cgroup = &cgroup,
              .filter = &grounds_.filter,
              .template_filter = &grounds_.template_filter,
              .setup = sockets.second.Get(),
              .status = &grounds_.statuses[slot_]});
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

bool Shell::Alive() const { return pid > 0 && !PidfdEnded(pidfd.Get()); }

std::optional<int> Shell::ProgramStatus() const {
  std::int32_t stored = grounds_.statuses[slot_].load();
  return stored == 0 ? std::nullopt : std::optional(stored - 1);
}

bool Shell::Gone() {
  if (pid > 0) {
    ::kill(pid, SIGKILL);
    if (::waitpid(pid, nullptr, __WALL | WNOHANG) == 0) return false;
    pid = -1;
  }
  return cgroup.Remove();
}

}  // namespace samovar
