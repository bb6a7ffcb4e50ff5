#include "sandbox/dresser.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "os/linux.h"
#include "os/packet_socket.h"
#include "sandbox/spawner_protocol.h"

namespace samovar {

Result<std::unique_ptr<Dresser>> Dresser::Start(const std::string& root, Cgroup cgroup) {
  auto dresser = std::make_unique<Dresser>();
  dresser->cgroup = std::move(cgroup);
  auto start = [&]() -> Result<void> {
    TRY(auto sockets, PacketSocketPair());
    int descriptor = -1;
    dresser->pid_ = CloneProcess(CLONE_NEWNS, &descriptor);
    if (dresser->pid_ == 0) {
      RunDresser({.root = root, .cgroup = &dresser->cgroup, .orders = sockets.second.Get()});
    }
    if (dresser->pid_ < 0) {
      return Fail(Code::kUnavailable, ErrnoError("start what dresses clones").message);
    }
    dresser->pidfd_ = Fd(descriptor);
    dresser->helper = std::move(sockets.first);
    return {};
  };
  if (auto started = start(); !started) {
    dresser->cgroup.Remove();
    return std::unexpected(started.error());
  }
  return dresser;
}

bool Dresser::Alive() const { return pid_ > 0 && !PidfdEnded(pidfd_.Get()); }

Result<void> Dresser::Dress(const SandboxSpec& spec, int tmp, int shm) {
  int fds[] = {tmp, shm};
  auto order = EncodeOrder({.kind = SpawnerOrder::Kind::kCreate, .spec = spec});
  TRY(auto sent, SendPacket(helper.Get(), order, fds));
  if (!sent) return Fail(Code::kUnavailable, "what dresses clones takes no order");
  return {};
}

Result<void> Dresser::TakeIn(const SandboxSpec& spec, int mounts) {
  auto order = EncodeOrder({.kind = SpawnerOrder::Kind::kCreate, .spec = spec});
  TRY(auto sent, SendPacket(helper.Get(), order, std::span(&mounts, 1)));
  if (!sent) return Fail(Code::kUnavailable, "what dresses clones takes no order");
  return {};
}

Result<void> Dresser::Move(pid_t init, pid_t program, int mounts, int pids, int members) {
  int fds[] = {mounts, pids, members};
  TRY(auto sent, SendPacket(helper.Get(), fmt::format("{} {}", init, program), fds));
  if (!sent) return Fail(Code::kUnavailable, "what dresses clones takes no order");
  return {};
}

void Dresser::Kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

bool Dresser::Reaped() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, __WALL | WNOHANG) != 0) pid_ = -1;
  return pid_ < 0;
}

}  // namespace samovar
