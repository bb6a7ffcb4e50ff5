#include "net/frame_channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr std::size_t kHeadSize = 8;
constexpr std::size_t kBufferSize = 16 << 10;
constexpr std::size_t kGrowth = 1 << 20;  // of a large payload, before it arrived

std::uint32_t Load32(const char* at) {
  std::array<unsigned char, 4> b;
  std::memcpy(b.data(), at, 4);
  return b[0] | b[1] << 8 | b[2] << 16 | static_cast<std::uint32_t>(b[3]) << 24;
}

std::array<char, kHeadSize> EncodeHead(const ChannelFrame& frame, std::size_t payload) {
  std::size_t length = 4 + frame.meta.size() + payload;
  return {static_cast<char>(length),
          static_cast<char>(length >> 8),
          static_cast<char>(length >> 16),
          static_cast<char>(length >> 24),
          static_cast<char>(frame.type),
          static_cast<char>(frame.flags),
          static_cast<char>(frame.meta.size()),
          static_cast<char>(frame.meta.size() >> 8)};
}

std::unexpected<Error> ChannelFailed(const boost::system::error_code& error) {
  if (error == asio::error::operation_aborted) {
    return Fail(Code::kTimeout, "the wait on the channel was ended");
  }
  if (error == asio::error::eof || error == asio::error::connection_reset ||
      error == asio::error::broken_pipe || error == asio::error::bad_descriptor) {
    return Fail(Code::kUnavailable, "the channel is closed");
  }
  return Fail(Code::kUnavailable, "the channel failed: " + error.message());
}

}  // namespace

FrameChannel::FrameChannel(Executor loop, Fd socket, Bytes max_frame)
    : socket_(std::move(loop)), max_frame_(std::min(max_frame, kMaxFrame).count) {
  boost::system::error_code ignored;
  int fd = socket.Release();
  if (fd < 0) return;
  socket_.assign(asio::local::stream_protocol(), fd, ignored);
  socket_.native_non_blocking(true, ignored);
}

void FrameChannel::Close() {
  boost::system::error_code ignored;
  socket_.shutdown(socket_.shutdown_both, ignored);
  socket_.close(ignored);
}

Task<Result<ChannelFrame>> FrameChannel::Read() {
  if (buffer_.empty()) buffer_.resize(kBufferSize);
  CO_TRY(co_await Fill(kHeadSize));
  ChannelFrame frame;
  std::size_t meta = 0;
  CO_TRY(const std::size_t length, TakeHead(frame, meta));
  CO_TRY(co_await ReadRest(frame.meta, meta));
  CO_TRY(co_await ReadRest(frame.payload, length - 4 - meta));
  co_return frame;
}

std::optional<Result<ChannelFrame>> FrameChannel::TakeWhole() {
  const std::size_t have = end_ - begin_;
  if (have < kHeadSize || have - 4 < Load32(&buffer_[begin_])) return std::nullopt;
  ChannelFrame frame;
  std::size_t meta = 0;
  auto length = TakeHead(frame, meta);
  if (!length) return std::unexpected(std::move(length.error()));
  frame.meta.assign(&buffer_[begin_], meta);
  frame.payload.assign(&buffer_[begin_] + meta, *length - 4 - meta);
  begin_ += *length - 4;
  return frame;
}

// Reads the head that the buffer holds; answers the length that it says.
Result<std::size_t> FrameChannel::TakeHead(ChannelFrame& frame, std::size_t& meta) {
  const std::size_t length = Load32(&buffer_[begin_]);
  frame.type = static_cast<std::uint8_t>(buffer_[begin_ + 4]);
  frame.flags = static_cast<std::uint8_t>(buffer_[begin_ + 5]);
  meta = static_cast<unsigned char>(buffer_[begin_ + 6]) |
         static_cast<unsigned char>(buffer_[begin_ + 7]) << 8;
  if (length > max_frame_) {
    return Fail(Code::kTooLarge, "a frame of " + std::to_string(length) + " bytes came");
  }
  if (length < 4 + meta) return Fail(Code::kInvalid, "a frame shorter than its head came");
  begin_ += kHeadSize;
  return length;
}

// Waits until the buffer holds `want` bytes.
Task<Result<void>> FrameChannel::Fill(std::size_t want) {
  if (begin_ == end_) begin_ = end_ = 0;
  while (end_ - begin_ < want) {
    if (begin_ + want > buffer_.size()) {
      std::memmove(buffer_.data(), &buffer_[begin_], end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    CO_TRY(std::size_t n, co_await Receive(&buffer_[end_], buffer_.size() - end_));
    end_ += n;
  }
  co_return Result<void>();
}

Task<Result<std::size_t>> FrameChannel::Receive(char* to, std::size_t size) {
  if (std::exchange(filled_, false)) {
    ssize_t n = ::recv(socket_.native_handle(), to, size, MSG_DONTWAIT);
    if (n > 0) {
      filled_ = static_cast<std::size_t>(n) == size;
      co_return static_cast<std::size_t>(n);
    }
  }
  // The reactor also tries the call before it waits, so no other try is made here.
  auto [error, n] = co_await socket_.async_receive(asio::buffer(to, size), kTuple);
  if (error) co_return ChannelFailed(error);
  filled_ = n == size;
  co_return n;
}

// Takes `size` bytes: from the buffer, then, where there are more, straight into `text`.
Task<Result<void>> FrameChannel::ReadRest(std::string& text, std::size_t size) {
  std::size_t ready = std::min(size, end_ - begin_);
  text.assign(&buffer_[begin_], ready);
  begin_ += ready;
  if (ready == size) co_return Result<void>();
  if (size <= buffer_.size() / 2) {  // small: one recv may bring the next frame too
    CO_TRY(co_await Fill(size - ready));
    text.append(&buffer_[begin_], size - ready);
    begin_ += size - ready;
    co_return Result<void>();
  }
  while (ready < size) {
    if (ready == text.size()) {
      std::size_t grown = std::min(size, std::max(ready * 2, ready + kGrowth));
      // libstdc++ 12 hands the lambda a rounded-up size, so the size is captured.
      text.resize_and_overwrite(grown, [grown](char*, std::size_t) { return grown; });
    }
    CO_TRY(std::size_t n, co_await Receive(&text[ready], text.size() - ready));
    ready += n;
  }
  co_return Result<void>();
}

Task<Result<void>> FrameChannel::Write(ChannelFrame frame) {
  if (frame.meta.size() > 0xffff ||
      4 + frame.meta.size() + frame.payload.size() > kMaxFrame.count) {
    co_return Fail(Code::kTooLarge, "the frame is larger than the channel allows");
  }
  auto head = EncodeHead(frame, frame.payload.size());
  std::array<asio::const_buffer, 3> parts{asio::buffer(head), asio::buffer(frame.meta),
                                          asio::buffer(frame.payload)};
  std::array<iovec, 3> pieces;
  std::size_t total = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    pieces[i] = {const_cast<void*>(parts[i].data()), parts[i].size()};
    total += parts[i].size();
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    co_return ChannelFailed({errno, boost::system::system_category()});
  }
  std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  if (done == total) co_return Result<void>();
  for (auto& part : parts) {
    std::size_t skip = std::min(done, part.size());
    part += skip;
    done -= skip;
  }
  auto [error, n] = co_await asio::async_write(socket_, parts, kTuple);
  if (error) co_return ChannelFailed(error);
  co_return Result<void>();
}

Result<void> FrameChannel::Append(std::string& bytes, const ChannelFrame& frame,
                                  std::string_view payload) {
  if (frame.meta.size() > 0xffff || 4 + frame.meta.size() + payload.size() > kMaxFrame.count) {
    return Fail(Code::kTooLarge, "the frame is larger than the channel allows");
  }
  auto head = EncodeHead(frame, payload.size());
  bytes.append(head.data(), head.size()).append(frame.meta).append(payload);
  return {};
}

FrameChannel::Sent FrameChannel::TrySend(std::string_view bytes) {
  Sent sent;
  ssize_t n =
      ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    sent.all = ChannelFailed({errno, boost::system::system_category()});
  }
  sent.size = n > 0 ? static_cast<std::size_t>(n) : 0;
  return sent;
}

Task<FrameChannel::Sent> FrameChannel::Send(const std::string& bytes) {
  Sent sent = TrySend(bytes);
  if (!sent.all) co_return sent;
  if (sent.size == bytes.size()) co_return sent;
  auto [error, more] = co_await asio::async_write(
      socket_, asio::buffer(bytes.data() + sent.size, bytes.size() - sent.size), kTuple);
  sent.size += more;
  if (error) sent.all = ChannelFailed(error);
  co_return sent;
}

}  // namespace samovar
