// Cells of isolation "process": plain child processes, for hosts without root or namespaces.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "os/linux.h"
#include "os/packet_socket.h"
#include "sandbox/cell.h"
#include "sandbox/process_paths.h"
#include "sandbox/sandbox_child.h"

namespace samovar {
namespace {

std::uint16_t PortOf(int listener) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

[[noreturn]] void RunChild(const SandboxSpec& mapped, const CellPipes& pipes, int setup) {
  auto prepare = [&]() -> Result<void> {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
      return std::unexpected(ErrnoError("prctl"));
    }
    TRY(SendPacket(setup, "R"));
    TRY(PlaceDescriptors(pipes.log_write.Get(), pipes.channel_theirs.Get(), -1, &setup));
    return LimitResources();
  };
  if (auto prepared = prepare(); !prepared) ReportAndExit(setup, prepared.error());
  RunProgram(mapped, setup);
}

class ProcessCell final : public Cell {
 public:
  explicit ProcessCell(SandboxSpec spec) : Cell(std::move(spec)) {}
  ~ProcessCell() override { (void)Remove(); }

  Result<void> Start() {
    std::string tmp = (std::filesystem::temp_directory_path() / "samovar-XXXXXX").string();
    if (!::mkdtemp(tmp.data())) return std::unexpected(ErrnoError("make a folder for TMPDIR"));
    tmp_ = tmp;
    std::string api;
    if (spec_.runtime_api) {
      TRY(listener_, ListenOnLoopback(0));
      api = fmt::format("127.0.0.1:{}", PortOf(listener_.Get()));
    }
    TRY(auto pipes, CellPipes::Make(spec_));
    TRY(auto setup, PacketSocketPair());
    const SandboxSpec mapped = ToHostPaths(spec_, tmp_, api);
    int pidfd = -1;
    pid_ = CloneProcess(0, &pidfd);
    if (pid_ == 0) RunChild(mapped, pipes, setup.second.Get());
    if (pid_ < 0) return std::unexpected(ErrnoError("start a process"));
    pidfd_ = Fd(pidfd);
    setup_ = std::move(setup.first);
    log_ = std::move(pipes.log_read);
    channel_ = std::move(pipes.channel_ours);
    statm_ = Fd(::open(fmt::format("/proc/{}/statm", pid_).c_str(), O_RDONLY | O_CLOEXEC));
    return {};
  }

  std::vector<Fd> Handover(SpawnerReport& report) override {
    std::vector<Fd> fds;
    fds.push_back(std::move(log_));
    report.channel = static_cast<bool>(channel_);
    if (channel_) fds.push_back(std::move(channel_));
    report.runtime_api = static_cast<bool>(listener_);
    if (listener_) fds.push_back(std::move(listener_));
    report.memory = static_cast<bool>(statm_);
    if (statm_) fds.emplace_back(DuplicateAbove(statm_.Get(), 3));
    return fds;
  }

  // The group is the session that the program leads; one that made a session of its own escapes.
  void Kill() override {
    ::kill(-pid_, SIGKILL);
    (void)PidfdSendSignal(pidfd_.Get(), SIGKILL);
  }

  Result<void> Freeze(bool frozen) override {
    if (::kill(-pid_, frozen ? SIGSTOP : SIGCONT) == 0) return {};
    return std::unexpected(ErrnoError("signal a process group"));
  }

  Result<void> UseCpuLimit() override { return {}; }  // docs/isolation.md

  std::chrono::milliseconds CheckMemory() override {
    constexpr std::chrono::milliseconds kLater{100};
    char text[128] = {};
    if (::pread(statm_.Get(), text, sizeof text - 1, 0) <= 0) return kLater;
    unsigned long total = 0, resident = 0, shared = 0;
    if (std::sscanf(text, "%lu %lu %lu", &total, &resident, &shared) != 3) return kLater;
    Bytes own{(resident - std::min(resident, shared)) *
              static_cast<std::uint64_t>(::getpagesize())};
    if (own > spec_.memory && !out_of_memory_) {
      out_of_memory_ = true;
      Kill();
    }
    return std::max(kLater, TimeToFill(spec_.memory - own));
  }

  SandboxExit Reap() override {
    ::kill(-pid_, SIGKILL);  // before the pid is free for others
    int status = 0;
    rusage usage{};
    while (::wait4(pid_, &status, __WALL, &usage) < 0 && errno == EINTR) {
    }
    SandboxExit exit;
    if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
    if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
    exit.out_of_memory = out_of_memory_;
    Bytes largest{static_cast<std::uint64_t>(usage.ru_maxrss) << 10};
    exit.max_memory = std::min(largest, spec_.memory);
    return exit;
  }

  bool Remove() override {
    std::error_code ignored;
    if (!tmp_.empty()) std::filesystem::remove_all(tmp_, ignored);
    tmp_.clear();
    return true;
  }

 private:
  Result<bool> Ready(std::vector<Fd>) override { return false; }

  pid_t pid_ = -1;
  std::string tmp_;
  Fd log_, channel_, listener_, statm_;
  bool out_of_memory_ = false;
};

class ProcessCells final : public CellMaker {
 public:
  Result<std::unique_ptr<Cell>> Make(SandboxSpec spec) override {
    if (!spec.image.empty()) {
      return Fail(Code::kUnsupported,
                  "container images need isolation full: start the server as root");
    }
    auto cell = std::make_unique<ProcessCell>(std::move(spec));
    TRY(cell->Start());
    return cell;
  }
};

}  // namespace

std::unique_ptr<CellMaker> MakeProcessCells() { return std::make_unique<ProcessCells>(); }

}  // namespace samovar
