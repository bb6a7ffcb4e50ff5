#include "models/frame_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace samovar {
namespace {

constexpr std::size_t kHeadSize = 8;
constexpr std::uint32_t kLargestFrame = 256u << 20;
constexpr std::size_t kReadSize = 64 << 10;
constexpr std::size_t kFlushSize = 256 << 10;  // an answer this large need not wait for others

}  // namespace

FrameSocket::FrameSocket(int fd) : fd_(fd), in_(kReadSize) {}

Result<bool> FrameSocket::Receive(std::optional<std::chrono::microseconds> timeout) {
  if (begin_ > 0) {
    std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  bool came = false;
  while (true) {
    if (in_.size() - end_ < kReadSize / 2) in_.resize(in_.size() * 2);
    const bool wait = !came && !timeout;
    const ssize_t n = ::recv(fd_, in_.data() + end_, in_.size() - end_, wait ? 0 : MSG_DONTWAIT);
    if (n == 0) return Fail(Code::kUnavailable, "the channel is closed");
    if (n > 0) {
      end_ += static_cast<std::size_t>(n);
      came = true;
      if (end_ < in_.size()) return true;  // there was no more
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return std::unexpected(ErrnoError("the channel failed"));
    if (came || timeout->count() <= 0) return came;
    pollfd one{fd_, POLLIN, 0};
    const timespec span{timeout->count() / 1'000'000, timeout->count() % 1'000'000 * 1000};
    if (::ppoll(&one, 1, &span, nullptr) == 0) return false;
    timeout = std::chrono::microseconds(0);
  }
}

Result<std::optional<FrameView>> FrameSocket::Next() {
  if (end_ - begin_ < kHeadSize) return std::nullopt;
  std::uint32_t length = 0;
  std::uint16_t meta = 0;
  std::memcpy(&length, &in_[begin_], 4);
  std::memcpy(&meta, &in_[begin_ + 6], 2);
  if (length < 4u + meta || length > kLargestFrame) {
    return Fail(Code::kInvalid, "a frame of a bad length came");
  }
  if (end_ - begin_ < 4 + std::size_t{length}) return std::nullopt;
  const char* at = &in_[begin_];
  FrameView frame{static_cast<std::uint8_t>(at[4]),
                  {at + kHeadSize, meta},
                  {at + kHeadSize + meta, length - 4 - meta}};
  begin_ += 4 + std::size_t{length};
  return frame;
}

void FrameSocket::Append(std::uint8_t type, std::string_view meta, std::string_view payload) {
  const auto length = static_cast<std::uint32_t>(4 + meta.size() + payload.size());
  const auto meta_size = static_cast<std::uint16_t>(meta.size());
  out_.append(reinterpret_cast<const char*>(&length), 4);
  out_ += static_cast<char>(type);
  out_ += '\0';
  out_.append(reinterpret_cast<const char*>(&meta_size), 2);
  out_ += meta;
  out_ += payload;
}

Result<bool> FrameSocket::Flush() {
  std::string_view rest = out_;
  const bool some = !rest.empty();
  while (!rest.empty()) {
    const ssize_t n = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(Code::kUnavailable, "the channel is closed");
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  out_.clear();
  if (out_.capacity() > kFlushSize) out_.shrink_to_fit();
  return some;
}

}  // namespace samovar
