#include "sandbox/isolated_cell.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>

#include "os/linux.h"
#include "os/message_socket.h"
#include "os/packet_socket.h"

namespace samovar {

IsolatedCell::IsolatedCell(SandboxSpec spec, std::shared_ptr<Shell> shell, int network_group)
    : BoundedCell(std::move(spec)), shell_(std::move(shell)), network_group_(network_group) {
  pidfd_ = Fd(DuplicateAbove(shell_->pidfd.Get(), 3));
  setup_ = std::move(shell_->setup);
}

Result<void> IsolatedCell::MakeMountPoints(RootTree& root) {
  for (const auto& mount : spec_.mounts) {
    struct stat status{};
    if (::stat(mount.source.c_str(), &status) != 0) {
      return Fail(Code::kInvalid, ErrnoError("sandbox mount source " + mount.source).message);
    }
    const bool directory = S_ISDIR(status.st_mode);
    TRY(spec_.image.empty() ? root.MakeMountPoint(mount.target, directory)
                            : root.MakeMountPointOverImages(mount.target, directory));
  }
  return {};
}

Result<void> IsolatedCell::Start(RootTree& root) {
  TRY(MakeMountPoints(root));
  TRY(auto pipes, CellPipes::Make(spec_));
  TRY(Bound(pipes, shell_->uid()));
  std::vector<int> fds{pipes.log_write.Get()};
  if (spec_.channel) fds.push_back(pipes.channel_theirs.Get());
  std::pair<Fd, Fd> control;
  Fd lifeline;
  if (spec_.clonable || spec_.boot) {
    TRY(control, PacketSocketPair());
    control_ = std::move(control.first);
    fds.push_back(control.second.Get());
  }
  if (spec_.clonable) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return std::unexpected(ErrnoError("pipe"));
    program_ = Fd(ends[0]);
    lifeline = Fd(ends[1]);
    fds.push_back(lifeline.Get());
  }
  auto order = EncodeOrder({.kind = SpawnerOrder::Kind::kCreate, .spec = spec_});
  TRY(auto sent, SendPacket(setup_.Get(), order, fds));
  if (!sent) return Fail(Code::kInternal, "a sandbox takes no order");
  return {};
}

Result<bool> IsolatedCell::Ready(std::vector<Fd> fds) {
  if (fds.size() < 2) return Fail(Code::kInternal, "a sandbox came without its /tmp");
  tmp_ = std::move(fds[0]);
  if (spec_.clonable) shm_ = std::move(fds[1]);
  if (fds.size() > 2) listener_ = std::move(fds[2]);
  if (spec_.network != Network::kEgress) return false;
  TRY(egress_, StartEgress(shell_->pid, network_group_, setup_.Get()));
  return true;
}

Result<void> IsolatedCell::TakeIn(SandboxSpec spec, std::unique_ptr<Dresser> dresser,
                                  RootTree& root) {
  spec_ = std::move(spec);
  dresser_ = std::move(dresser);
  helper_ = Fd(DuplicateAbove(dresser_->helper.Get(), 3));
  taking_ = spec_;
  const CgroupMemory now = shell_->cgroup.Memory();
  before_ = now.anonymous + now.shared;
  TRY(MakeMountPoints(root));
  return SetLimits();
}

Cell::Heard IsolatedCell::Hear() {
  if (!taking_) return Cell::Hear();
  Heard heard;
  auto fail = [&](Error error) {
    error_ = std::move(error);
    heard.step = Step::kFailed;
    return heard;
  };
  if (!booted_) {
    heard = Cell::Hear();
    if (heard.step != Step::kStarted) return heard;
    booted_ = true;
    heard.step = Step::kWaiting;
    if (auto begun = BeginTakingIn(); !begun) return fail(begun.error());
    return heard;
  }
  auto dressed = HearDresser();
  if (!dressed) return fail(dressed.error());
  if (*dressed) heard = {.step = Step::kStarted, .setup_ended = true, .helper_ended = true};
  return heard;
}

Result<void> IsolatedCell::BeginTakingIn() {
  Fd mounts(::open(fmt::format("/proc/{}/ns/mnt", shell_->pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!mounts) return std::unexpected(ErrnoError("open a sandbox's mounts"));
  return dresser_->TakeIn(*taking_, mounts.Get());
}

Result<bool> IsolatedCell::HearDresser() {
  auto packet = ReceivePacket(helper_.Get());
  if (packet && !*packet) return false;
  if (!packet) return Fail(Code::kInternal, "what dresses sandboxes ended");
  Packet& got = **packet;
  if (got.body != "R" || got.fds.size() != 1) return std::unexpected(ErrorFrom(got.body));
  tmp_ = std::move(got.fds[0]);
  namespace json = boost::json;
  auto text = json::serialize(json::object{
      {"take",
       {{"env", json::array(taking_->env.begin(), taking_->env.end())}, {"cwd", taking_->cwd}}}});
  TRY(auto sent, SendMessage(control_.Get(), text));
  if (!sent) return Fail(Code::kInternal, "a sandbox takes nothing in");
  control_ = Fd();
  taking_.reset();
  return true;
}

bool IsolatedCell::Remove() {
  if (dresser_) {
    dresser_->Kill();
    if (!dresser_->Reaped() || !dresser_->cgroup.Remove()) return false;
    dresser_.reset();
  }
  return !Lingers() && shell_->Gone();
}

std::vector<Fd> IsolatedCell::Handover(SpawnerReport& report) {
  // Were the kernel to choose process 1 when memory runs out, all clones would go with it.
  if (spec_.clonable) {
    (void)WriteSmallFile(fmt::format("/proc/{}/oom_score_adj", shell_->pid), "-1000");
  }
  report.booted = before_;
  return BoundedCell::Handover(report);
}

void IsolatedCell::Kill() {
  if (Lingers()) {
    (void)shell_->cgroup.KillAllBut(shell_->pid);
  } else {
    (void)PidfdSendSignal(pidfd_.Get(), SIGKILL);  // process 1: the namespace goes with it
  }
  Thaw();
}

void IsolatedCell::KillWithClones() {
  (void)PidfdSendSignal(pidfd_.Get(), SIGKILL);
  Thaw();
}

bool IsolatedCell::Over() {
  if (PidfdEnded(pidfd_.Get())) return true;
  if (!spec_.clonable || !shell_->ProgramStatus()) return false;
  // The program has ended. Whatever else there was of it ends now, and no clone does.
  if (Lingers()) return shell_->cgroup.KillAllBut(shell_->pid);
  Kill();
  return false;
}

SandboxExit IsolatedCell::Reap() {
  int status = 0;
  rusage usage{};
  if (PidfdEnded(pidfd_.Get())) {
    while (::wait4(shell_->pid, &status, __WALL, &usage) < 0 && errno == EINTR) {
    }
    shell_->pid = -1;
  }
  // The largest process (children of process 1), unless more was seen in all.
  Bytes largest{static_cast<std::uint64_t>(usage.ru_maxrss) << 10};
  Bytes peak = shell_->cgroup.PeakUsage();
  if (peak.count != 0) largest = shell_->pid > 0 ? peak : std::min(largest, peak);
  control_ = Fd();
  shm_ = Fd();
  egress_.reset();
  return ExitFrom(shell_->ProgramStatus().value_or(status), largest);
}

}  // namespace samovar
