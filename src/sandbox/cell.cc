#include "sandbox/cell.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "os/linux.h"
#include "os/packet_socket.h"

namespace samovar {
namespace {

constexpr int kLogPipe = 1 << 20;  // what a burst of output may run ahead of the server
constexpr int kChannelBuffer = 1 << 20;

}  // namespace

Error Cell::ErrorFrom(std::string_view packet) {
  auto code = static_cast<unsigned>(packet.size() > 1 ? packet[1] - '0' : 0);
  if (packet.size() < 2 || code > static_cast<unsigned>(Code::kInternal)) {
    return {Code::kInternal, "a sandbox's set-up spoke nonsense"};
  }
  return {static_cast<Code>(code), std::string(packet.substr(2))};
}

Cell::Heard Cell::Hear() {
  for (;;) {
    auto packet = ReceivePacket(setup_.Get());
    if (packet && !*packet) return {};
    if (!packet) {
      return {.step = ready_ ? Step::kStarted : Step::kFailed, .setup_ended = true};
    }
    Packet& got = **packet;
    if (got.body == "R") {
      auto ready = Ready(std::move(got.fds));
      if (ready) {
        ready_ = true;
        continue;
      }
      error_ = ready.error();
    } else {
      error_ = ErrorFrom(got.body);
    }
    return {.step = Step::kFailed};
  }
}

bool Cell::Over() { return PidfdEnded(pidfd_.Get()); }

Result<std::unique_ptr<Cell>> CellMaker::Clone(Cell&, CloneSpec) {
  return Fail(Code::kUnsupported, "isolation \"process\" has no clones");
}

std::chrono::milliseconds TimeToFill(Bytes left) {
  auto ms = static_cast<std::int64_t>(left.WholeMiB() / 2);
  return std::chrono::milliseconds(std::clamp<std::int64_t>(ms, 5, 1000));
}

Result<CellPipes> CellPipes::Make(const SandboxSpec& spec) {
  CellPipes pipes;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::unexpected(ErrnoError("make a log pipe"));
  pipes.log_read = Fd(ends[0]);
  pipes.log_write = Fd(ends[1]);
  (void)::fcntl(ends[0], F_SETPIPE_SZ, kLogPipe);  // the default size serves too
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return std::unexpected(ErrnoError("log pipe"));
  if (spec.channel) {
    TRY(auto pair, StreamSocketPair(kChannelBuffer));
    pipes.channel_ours = std::move(pair.first);
    pipes.channel_theirs = std::move(pair.second);
  }
  return pipes;
}

}  // namespace samovar
