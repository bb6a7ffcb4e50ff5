#include "sandbox/clone_cell.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <csignal>
#include <cstring>

#include "os/linux.h"
#include "os/message_socket.h"
#include "os/packet_socket.h"

namespace samovar {
namespace {

using std::chrono::steady_clock;

// From the program's end to that of process 1, which has only to say so.
constexpr auto kMostInit = std::chrono::milliseconds(200);
constexpr std::size_t kMostReason = 300;
constexpr int kMostSaid = 16;  // over `setup`; four messages is all that there is to say

SandboxSpec SpecOf(const SandboxSpec& original, const std::string& id) {
  SandboxSpec spec = original;
  spec.id = id;
  spec.clonable = false;
  spec.runtime_api = false;
  return spec;
}

}  // namespace

CloneCell::CloneCell(const IsolatedCell& original, const CloneSpec& spec,
                     std::unique_ptr<Dresser> dresser, int network_group)
    : BoundedCell(SpecOf(original.spec(), spec.id)),
      original_(original.shell()),
      dresser_(std::move(dresser)),
      network_group_(network_group) {
  error_ = {Code::kUnavailable, "the template ended, or did not make a clone"};
}

Result<void> CloneCell::Start(const IsolatedCell& original, const CloneSpec& spec) {
  TRY(auto pipes, CellPipes::Make(spec_));
  TRY(auto setup, PacketSocketPair());
  TRY(NameSenders(setup.first.Get()));
  auto text = boost::json::serialize(boost::json::object{
      {"clone", {{"env", boost::json::array(spec.env.begin(), spec.env.end())}}}});
  int fds[] = {pipes.log_write.Get(), pipes.channel_theirs.Get(), setup.second.Get()};
  // First of all, as the rest can be done while the template works.
  TRY(auto asked, SendMessage(original.control(), text, fds));
  if (!asked) return Fail(Code::kUnavailable, "the template takes no more requests for clones");
  setup_ = std::move(setup.first);
  helper_ = Fd(DuplicateAbove(dresser_->helper.Get(), 3));
  TRY(dresser_->Dress(spec_, original.tmp(), original.shm()));
  TRY(Bound(pipes, original_->uid()));
  TRY(mark_, TemplateMark::Of(original_->pid, original_->uid()));
  members_ = original_->cgroup.OpenMembers();
  return {};
}

Cell::Heard CloneCell::Hear() {
  Heard heard;
  auto fail = [&](Error error) {
    if (heard.step != Step::kStarted) heard.step = Step::kFailed;
    error_ = std::move(error);
  };
  if (auto done = HearSetup(heard); !done) fail(done.error());
  if (heard.step == Step::kFailed) return heard;
  if (auto done = HearDresser(heard); !done) fail(done.error());
  return heard;
}

Result<void> CloneCell::HearSetup(Heard& heard) {
  for (;;) {
    auto message = ReceiveMessage(setup_.Get());
    if (message && !*message) return {};
    if (!message) {
      heard.setup_ended = true;
      if (going_) return {};
      return std::unexpected(error_);
    }
    if (++said_ > kMostSaid) {
      heard.setup_ended = true;
      Kill();
      return Fail(Code::kUnavailable, "the template floods the socket of a clone");
    }
    TRY(TakeMessage((*message)->body, (*message)->pid, heard));
  }
}

Result<void> CloneCell::TakeMessage(std::string_view body, pid_t from, Heard& heard) {
  struct {
    std::int32_t status;
    std::int64_t size;
  } told;
  if (body.size() == 13 && body[0] == 'X' && from == init_.pid) {
    std::memcpy(&told.status, body.data() + 1, sizeof told.status);
    std::memcpy(&told.size, body.data() + 5, sizeof told.size);
    told_status_ = told.status;
    told_size_ = {static_cast<std::uint64_t>(std::max<std::int64_t>(told.size, 0)) << 10};
    return {};
  }
  if (going_) return {};
  if (!body.empty() && body[0] == 'E') {
    Error error = ErrorFrom(body.substr(0, kMostReason));
    return Fail(Code::kUnavailable, "the template made no clone: " + error.message);
  }
  CloneParty& party = body == "I" ? init_ : party_;
  if ((body != "I" && body != "P") || party.pid > 0) {
    return Fail(Code::kUnavailable, "the template made no clone, but said something else");
  }
  auto found = CloneParty::Of(from, body == "I", mark_);
  if (!found) {
    return Fail(Code::kUnavailable, "what came as a clone is none: " + found.error().message);
  }
  party = std::move(*found);
  if (init_.pid > 0 && party_.pid > 0) return Adopt(heard);
  return {};
}

Result<void> CloneCell::Adopt(Heard& heard) {
  if (init_.namespaces != party_.namespaces) {
    return Fail(Code::kUnavailable, "what came as a clone is none: two namespaces");
  }
  pidfd_ = std::move(init_.pidfd);
  program_ = std::move(party_.pidfd);
  heard.step = Step::kAdopted;
  // Where it has ended already it has said why, which is heard next.
  (void)dresser_->Move(init_.pid, party_.pid, party_.mounts.Get(), party_.pids.Get(),
                       members_.Get());
  return {};
}

Result<void> CloneCell::HearDresser(Heard& heard) {
  while (helper_ && !going_) {
    auto packet = ReceivePacket(helper_.Get());
    if (packet && !*packet) return {};
    if (!packet) return Fail(Code::kInternal, "what dresses clones ended");
    Packet& got = **packet;
    if (got.body == "W") return Go(heard);
    if (got.body != "R" || got.fds.size() != 1) return std::unexpected(ErrorFrom(got.body));
    tmp_ = std::move(got.fds[0]);
    if (spec_.network != Network::kEgress) return Go(heard);
    TRY(egress_, StartEgress(party_.pid, network_group_, helper_.Get()));
  }
  heard.helper_ended = going_;
  return {};
}

Result<void> CloneCell::Go(Heard& heard) {
  TRY(auto sent, SendMessage(setup_.Get(), "G"));
  if (!sent) return Fail(Code::kInternal, "a clone takes no word");
  going_ = true;
  heard = {.step = Step::kStarted, .setup_ended = heard.setup_ended, .helper_ended = true};
  members_ = Fd();
  for (Fd* fd : {&init_.pids, &init_.mounts, &party_.pids, &party_.mounts}) *fd = Fd();
  return {};
}

void CloneCell::Kill() {
  if (!going_) dresser_->Kill();
  if (pidfd_) (void)PidfdSendSignal(pidfd_.Get(), SIGKILL);  // the namespace goes with it
  for (const CloneParty* party : {&init_, &party_}) {        // those not adopted
    if (party->pidfd) (void)PidfdSendSignal(party->pidfd.Get(), SIGKILL);
  }
  Thaw();
}

std::chrono::milliseconds CloneCell::CheckMemory() {
  (void)dresser_->Reaped();
  return BoundedCell::CheckMemory();
}

bool CloneCell::Over() {
  if (!pidfd_ || PidfdEnded(pidfd_.Get())) return true;
  if (!program_ended_ && PidfdEnded(program_.Get())) program_ended_ = steady_clock::now();
  if (program_ended_ && steady_clock::now() - *program_ended_ > kMostInit) Kill();
  return false;
}

SandboxExit CloneCell::Reap() {
  if (going_) (void)Hear();  // the "X"
  int killed = SIGKILL;
  auto known = program_ ? PidfdExitStatus(program_.Get()) : std::nullopt;
  int status = known ? *known : told_status_.value_or(killed);
  dresser_->Kill();
  egress_.reset();
  original_.reset();
  return ExitFrom(status, told_size_);
}

bool CloneCell::Remove() { return dresser_->Reaped() && dresser_->cgroup.Remove(); }

}  // namespace samovar
