#include "sandbox/cell.h"

#include <fcntl.h>
#include <unistd.h>

#include "os/packet_socket.h"

namespace samovar {
namespace {

constexpr int kLogPipe = 1 << 20;  // what a burst of output may run ahead of the server
constexpr int kChannelBuffer = 1 << 20;

}  // namespace

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
  TRY(auto setup, PacketSocketPair());
  pipes.setup_ours = std::move(setup.first);
  pipes.setup_theirs = std::move(setup.second);
  return pipes;
}

}  // namespace samovar
