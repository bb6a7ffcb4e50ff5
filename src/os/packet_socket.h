#pragma once
// Packets with descriptors over a Unix SOCK_SEQPACKET socket.
//
// How      A packet is one byte that says where the body is, then the body; a body over 32 KiB
//          travels in a memfd, the first of the descriptors, so no socket buffer bounds it.
// Units    At most 1 MiB a body and 8 descriptors (kTooLarge, kInvalid).
// Errors   kUnavailable: the peer is gone. Receive answers nullopt where nothing waits (the socket
//          is non-blocking) and kUnavailable at the end.
// Threads  One reader and one writer at a time.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

struct Packet {
  std::string body;
  std::vector<Fd> fds;
};

inline constexpr std::size_t kMaxPacketBody = 1 << 20;
inline constexpr std::size_t kMaxPacketFds = 8;

// A connected pair, close-on-exec, with large buffers where the caller may have them.
Result<std::pair<Fd, Fd>> PacketSocketPair();
// Ok(false): the socket's buffer is full now, nothing was sent.
Result<bool> SendPacket(int socket, std::string_view body, std::span<const int> fds = {});
Result<std::optional<Packet>> ReceivePacket(int socket);

// A connected SOCK_STREAM pair with buffers of `bytes` where the caller may have them.
Result<std::pair<Fd, Fd>> StreamSocketPair(int bytes);

}  // namespace samovar
