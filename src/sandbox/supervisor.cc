#include "sandbox/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "base/log.h"
#include "os/packet_socket.h"
#include "sandbox/cell.h"
#include "sandbox/data_dir.h"
#include "sandbox/spawner.h"

namespace samovar {
namespace {

using std::chrono::steady_clock;

constexpr auto kRestartPause = std::chrono::seconds(1);  // after a spawner that died young
constexpr auto kSpawnerGoodbye = std::chrono::seconds(10);
constexpr auto kSpawnerReady = std::chrono::seconds(30);

Result<void> BecomeUser(uid_t uid, gid_t gid) {
  if (::geteuid() != 0) return {};
  if (::setgroups(1, &gid) != 0 || ::setresgid(gid, gid, gid) != 0 ||
      ::setresuid(uid, uid, uid) != 0) {
    return std::unexpected(ErrnoError(fmt::format("become user {}", uid)));
  }
  CHECK(::setuid(0) != 0);
  return {};
}

class Supervisor {
 public:
  Supervisor(SupervisorOptions options, DataDir dir)
      : options_(std::move(options)), dir_(std::move(dir)), caller_(::getpid()) {}

  Result<int> Run(const std::function<int(ServerSide)>& server);

 private:
  bool Full() const { return options_.isolation == "full"; }
  Result<void> StartSpawner();
  void AwaitReady(int ready);
  [[noreturn]] void BeSpawner(Fd server, Fd ready);
  Result<void> StartServer(const std::function<int(ServerSide)>& server);
  [[noreturn]] void BeServer(const std::function<int(ServerSide)>& server);
  void BecomeChild(int death_signal);
  void Watch();
  void TakeSignals();
  void ReapChildren();
  void SpawnerEnded(int status);
  void EndSpawner();

  SupervisorOptions options_;
  DataDir dir_;
  pid_t caller_;
  sigset_t caller_mask_{};
  Fd signals_, handover_, server_handover_;
  pid_t spawner_ = -1, server_ = -1;
  steady_clock::time_point spawned_;
  std::optional<int> server_status_;
  bool stopping_ = false;  // the server was asked to end
  bool hung_up_ = false;   // the last spawner ended as the server had closed its end
};

Result<int> Supervisor::Run(const std::function<int(ServerSide)>& server) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, &caller_mask_);
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return std::unexpected(ErrnoError("signalfd"));
  TRY(auto pair, PacketSocketPair());
  handover_ = std::move(pair.first);
  server_handover_ = std::move(pair.second);
  TRY(StartSpawner());
  if (auto started = StartServer(server); !started) {
    EndSpawner();
    return std::unexpected(started.error());
  }
  while (!server_status_) Watch();
  EndSpawner();
  // One that was killed has left its cgroups; another removes them as it starts, and then ends.
  if (!hung_up_) {
    (void)StartSpawner();
    EndSpawner();
  }
  ::sigprocmask(SIG_SETMASK, &caller_mask_, nullptr);
  if (WIFSIGNALED(*server_status_)) return 128 + WTERMSIG(*server_status_);
  return WEXITSTATUS(*server_status_);
}

// In a child: dies with the supervisor, is out of reach of the terminal's signals (the supervisor
// passes them on), takes signals as the caller did.
void Supervisor::BecomeChild(int death_signal) {
  ::prctl(PR_SET_PDEATHSIG, death_signal);
  if (::getppid() != caller_) ::_exit(1);
  ::setpgid(0, 0);
  signals_ = Fd();
  ::sigprocmask(SIG_SETMASK, &caller_mask_, nullptr);
}

Result<void> Supervisor::StartSpawner() {
  TRY(auto pair, PacketSocketPair());
  TRY(auto ready, PacketSocketPair());
  spawned_ = steady_clock::now();
  spawner_ = ::fork();
  if (spawner_ < 0) return std::unexpected(ErrnoError("fork"));
  if (spawner_ == 0) {
    pair.first = Fd();
    ready.first = Fd();
    BeSpawner(std::move(pair.second), std::move(ready.second));
  }
  ready.second = Fd();
  pair.second = Fd();
  AwaitReady(ready.first.Get());
  auto packet = ReceivePacket(ready.first.Get());
  if (!packet || !*packet || (*packet)->body != "R") {
    std::string why = packet && *packet ? (*packet)->body : "it died or did not answer";
    pair.first = Fd();  // so that it tidies up
    EndSpawner();
    return Fail(Code::kUnavailable, why);
  }
  int fd = pair.first.Get();
  TRY(SendPacket(handover_.Get(), "spawner", std::span(&fd, 1)));
  return {};
}

// Until the new spawner has spoken or died. A server that runs already gets its signals meanwhile,
// and where it ends there is nothing to wait for.
void Supervisor::AwaitReady(int ready) {
  auto until = steady_clock::now() + kSpawnerReady;
  while (!server_status_) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
    pollfd wait[] = {{ready, POLLIN, 0}, {server_ > 0 ? signals_.Get() : -1, POLLIN, 0}};
    if (left <= 0 || ::poll(wait, 2, static_cast<int>(left)) == 0 || wait[0].revents != 0) return;
    if (wait[1].revents == 0) continue;
    TakeSignals();
    ReapChildren();
  }
}

void Supervisor::BeSpawner(Fd server, Fd ready) {
  BecomeChild(SIGTERM);
  ::prctl(PR_SET_NAME, "samovar-spawner");
  handover_ = Fd();
  server_handover_ = Fd();
  Result<std::unique_ptr<CellMaker>> maker = nullptr;
  if (Full()) {
    maker = MakeIsolatedCells(dir_.name);
  } else if (auto user = BecomeUser(dir_.uid, dir_.gid); !user) {
    maker = std::unexpected(user.error());
  } else {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // the change of user cleared it
    if (::getppid() != caller_) ::_exit(1);
    maker = MakeProcessCells();
  }
  if (!maker) {
    (void)SendPacket(ready.Get(), maker.error().message);
    ::_exit(1);
  }
  (void)SendPacket(ready.Get(), "R");
  ready = Fd();
  int code = RunSpawner(std::move(*maker), std::move(server));
  ::_exit(code);
}

Result<void> Supervisor::StartServer(const std::function<int(ServerSide)>& server) {
  server_ = ::fork();
  if (server_ < 0) return std::unexpected(ErrnoError("fork"));
  if (server_ == 0) BeServer(server);
  server_handover_ = Fd();
  return {};
}

void Supervisor::BeServer(const std::function<int(ServerSide)>& server) {
  BecomeChild(SIGKILL);
  handover_ = Fd();
  if (auto user = BecomeUser(dir_.uid, dir_.gid); !user) {
    LogError("{}", user.error().message);
    ::_exit(1);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // the change of user cleared it
  if (::getppid() != caller_) ::_exit(1);
  int code = server({.spawners = std::move(server_handover_), .isolation = options_.isolation});
  std::exit(code);
}

void Supervisor::Watch() {
  pollfd wait{signals_.Get(), POLLIN, 0};
  int timeout = -1;
  // A server that ends lets go of its spawner before it is gone, and needs no other.
  auto wanted = [this] { return spawner_ < 0 && !server_status_ && !(stopping_ && hung_up_); };
  if (wanted()) {
    auto due = spawned_ + kRestartPause - steady_clock::now();
    timeout = static_cast<int>(
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(due).count()));
  }
  (void)::poll(&wait, 1, timeout);
  TakeSignals();
  ReapChildren();
  if (wanted() && steady_clock::now() >= spawned_ + kRestartPause) {
    if (auto started = StartSpawner(); !started) {
      LogError("no spawner, trying again: {}", started.error().message);
    }
  }
}

void Supervisor::TakeSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.Get(), &info, sizeof info) == sizeof info) {
    int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD || server_ <= 0) continue;
    stopping_ = true;
    ::kill(server_, signal == SIGHUP ? SIGTERM : signal);
  }
}

void Supervisor::ReapChildren() {
  int status = 0;
  if (server_ > 0 && ::waitpid(server_, &status, WNOHANG) == server_) {
    server_ = -1;
    server_status_ = status;
  }
  if (spawner_ > 0 && ::waitpid(spawner_, &status, WNOHANG) == spawner_) {
    SpawnerEnded(status);
    if (!server_status_ && !(stopping_ && hung_up_)) {
      LogError("the spawner died (wait status {}); starting another", status);
    }
  }
}

void Supervisor::SpawnerEnded(int status) {
  spawner_ = -1;
  hung_up_ = WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// The server's end is closed by now, so the spawner is tidying up; it gets a while for that.
void Supervisor::EndSpawner() {
  if (spawner_ <= 0) return;
  auto until = steady_clock::now() + kSpawnerGoodbye;
  int status = 0;
  while (::waitpid(spawner_, &status, WNOHANG) == 0) {
    if (steady_clock::now() > until) ::kill(spawner_, SIGKILL);
    pollfd none{-1, 0, 0};
    (void)::poll(&none, 0, 2);
  }
  SpawnerEnded(status);
}

Result<void> CheckHost(const SupervisorOptions& options) {
  if (options.isolation == "process") return {};
  if (options.isolation != "full") {
    return Fail(Code::kInvalid, "isolation must be \"full\" or \"process\"");
  }
  if (::geteuid() != 0) {
    return Fail(Code::kUnsupported,
                fmt::format("isolation \"full\" needs root, and this is user {}: start as root, or "
                            "set isolation = \"process\" where the functions are trusted "
                            "(docs/isolation.md)",
                            ::geteuid()));
  }
  for (const char* kind : {"pid", "mnt", "ipc", "uts", "net", "user"}) {
    std::string path = fmt::format("/proc/self/ns/{}", kind);
    if (::access(path.c_str(), F_OK) != 0) {
      return Fail(Code::kUnsupported, fmt::format("this kernel has no {} namespaces", kind));
    }
  }
  return {};
}

Result<int> CheckAndRun(const SupervisorOptions& options,
                        const std::function<int(ServerSide)>& server) {
  TRY(CheckHost(options));
  TRY(auto dir, OpenDataDir(options.data_dir, options.uid, options.gid));
  return Supervisor(options, std::move(dir)).Run(server);
}

}  // namespace

int RunSupervised(const SupervisorOptions& options, const std::function<int(ServerSide)>& server) {
  auto code = CheckAndRun(options, server);
  if (code) return *code;
  LogError("cannot start: {}", code.error().message);
  return 1;
}

}  // namespace samovar
