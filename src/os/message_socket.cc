#include "os/message_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "os/packet_socket.h"

namespace samovar {
namespace {

constexpr std::size_t kMostBody = 1 << 10;

}  // namespace

Result<void> NameSenders(int socket) {
  int on = 1;
  if (::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0) return {};
  return std::unexpected(ErrnoError("SO_PASSCRED"));
}

Result<bool> SendMessage(int socket, std::string_view body, std::span<const int> fds) {
  if (fds.size() > kMaxPacketFds) return Fail(Code::kInvalid, "too many descriptors in a message");
  iovec part{const_cast<char*>(body.data()), body.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPacketFds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) return false;
    Error error = ErrnoError("sendmsg");
    error.code = Code::kUnavailable;
    return std::unexpected(std::move(error));
  }
}

Result<std::optional<Message>> ReceiveMessage(int socket) {
  char text[kMostBody];
  iovec part{text, sizeof text};
  // Room for the sender and nothing else: the kernel then drops descriptors by itself.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t got;
  bool reset = false;
  do {
    got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    // The peer went without reading all; told once, and what it had said comes after.
  } while (got < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset, true))));
  if (got < 0 && errno == EAGAIN) return std::nullopt;
  if (got <= 0) return Fail(Code::kUnavailable, "the peer has gone");
  Message message{.body = std::string(text, static_cast<std::size_t>(got))};
  cmsghdr* head = CMSG_FIRSTHDR(&header);
  if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS) {
    ucred sender;
    std::memcpy(&sender, CMSG_DATA(head), sizeof sender);
    message.pid = sender.pid;
    message.uid = sender.uid;
  }
  return message;
}

}  // namespace samovar
