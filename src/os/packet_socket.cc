#include "os/packet_socket.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace samovar {
namespace {

constexpr std::size_t kInlineBody = 32 << 10;
constexpr char kInline = 'I';
constexpr char kInMemfd = 'M';

void Enlarge(int socket, int bytes) {
  for (auto [forced, plain] : {std::pair(SO_SNDBUFFORCE, SO_SNDBUF), {SO_RCVBUFFORCE, SO_RCVBUF}}) {
    if (::setsockopt(socket, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0) {
      (void)::setsockopt(socket, SOL_SOCKET, plain, &bytes, sizeof bytes);
    }
  }
}

Result<std::pair<Fd, Fd>> Pair(int type, int bytes) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) {
    return std::unexpected(ErrnoError("socketpair"));
  }
  Enlarge(ends[0], bytes);
  Enlarge(ends[1], bytes);
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

Result<Fd> BodyInMemfd(std::string_view body) {
  Fd file(::memfd_create("packet", MFD_CLOEXEC));
  if (!file) return std::unexpected(ErrnoError("memfd_create"));
  while (!body.empty()) {
    ssize_t wrote = ::write(file.Get(), body.data(), body.size());
    if (wrote <= 0) return std::unexpected(ErrnoError("write to a memfd"));
    body.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return file;
}

Result<std::string> BodyFromMemfd(int file) {
  struct stat status{};
  if (::fstat(file, &status) != 0) return std::unexpected(ErrnoError("fstat of a memfd"));
  if (status.st_size < 0 || static_cast<std::size_t>(status.st_size) > kMaxPacketBody) {
    return Fail(Code::kTooLarge, "a packet's body is too large");
  }
  std::string body(static_cast<std::size_t>(status.st_size), '\0');
  ssize_t got = ::pread(file, body.data(), body.size(), 0);
  if (got != status.st_size) return Fail(Code::kInternal, "a packet's body is cut short");
  return body;
}

std::vector<Fd> TakeFds(msghdr& message) {
  std::vector<Fd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Result<std::pair<Fd, Fd>> PacketSocketPair() { return Pair(SOCK_SEQPACKET, 4 << 20); }

Result<std::pair<Fd, Fd>> StreamSocketPair(int bytes) { return Pair(SOCK_STREAM, bytes); }

Result<bool> SendPacket(int socket, std::string_view body, std::span<const int> fds) {
  if (body.size() > kMaxPacketBody) return Fail(Code::kTooLarge, "a packet's body is too large");
  if (fds.size() > kMaxPacketFds) return Fail(Code::kInvalid, "too many descriptors in a packet");
  std::vector<int> all(fds.begin(), fds.end());
  char where = kInline;
  Fd file;
  if (body.size() > kInlineBody) {
    TRY(file, BodyInMemfd(body));
    all.insert(all.begin(), file.Get());
    where = kInMemfd;
    body = {};
  }
  iovec parts[2] = {{&where, 1}, {const_cast<char*>(body.data()), body.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * (kMaxPacketFds + 1))] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (!all.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * all.size());
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * all.size());
    std::memcpy(CMSG_DATA(head), all.data(), sizeof(int) * all.size());
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS) return false;
    Error error = ErrnoError("sendmsg");
    error.code = Code::kUnavailable;
    return std::unexpected(std::move(error));
  }
}

Result<std::optional<Packet>> ReceivePacket(int socket) {
  std::string text(kInlineBody + 1, '\0');
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * (kMaxPacketFds + 1))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  bool reset = false;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    // The peer went without reading all; told once, and what it had said comes after.
  } while (got < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset, true))));
  if (got < 0 && errno == EAGAIN) return std::nullopt;
  if (got <= 0) return Fail(Code::kUnavailable, "the peer has gone");
  Packet packet{.body = {}, .fds = TakeFds(message)};
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
    return Fail(Code::kInternal, "a packet is cut short");
  }
  if (text[0] == kInline) {
    text.resize(static_cast<std::size_t>(got));
    packet.body = text.substr(1);
    return packet;
  }
  if (text[0] != kInMemfd || packet.fds.empty()) return Fail(Code::kInternal, "a bad packet");
  TRY(packet.body, BodyFromMemfd(packet.fds.front().Get()));
  packet.fds.erase(packet.fds.begin());
  return packet;
}

}  // namespace samovar
