#pragma once
// Messages of a Unix SOCK_SEQPACKET socket as they are, without the framing of packet_socket.h, for
// peers that are not ours: who sent one is the kernel's word, not the peer's.
//
// Units    At most 1 KiB received (longer ones are cut). Descriptors that come along are dropped.
// Errors   As packet_socket.h.
// Threads  One reader and one writer at a time.

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

struct Message {
  std::string body;
  pid_t pid = 0;  // as this process's pid namespace has it; 0 for one that it does not see
  uid_t uid = 0;
};

// From now on each message that `socket` receives names its sender.
Result<void> NameSenders(int socket);
// Ok(false): the socket's buffer is full now, nothing was sent.
Result<bool> SendMessage(int socket, std::string_view body, std::span<const int> fds = {});
// REQUIRES: NameSenders(socket) before the message was sent. nullopt: nothing waits.
Result<std::optional<Message>> ReceiveMessage(int socket);

}  // namespace samovar
