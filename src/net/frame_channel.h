#pragma once
// FrameChannel: the framed local channel to a runtime inside a sandbox, as docs/formats/channel.md
// describes it. It carries frames and knows nothing of what their types mean.
//
// How      A write is one sendmsg of head, meta and payload, tried at once; only what the socket
//          does not take waits for the event loop. A read takes what the socket has into one
//          buffer, so that a small frame is one recv; a large payload is read where it will stay,
//          and its memory grows with what arrived, never with what was promised.
// Errors   kUnavailable when the other end closed or the channel was closed here; kInvalid for a
//          frame that the format does not allow (the channel is of no use then); kTooLarge past
//          `max_frame`, which bounds what comes, or kMaxFrame; kTimeout when the waiting coroutine
//          was cancelled.
// Threads  The event loop only. One Read and one Write at a time may wait.

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/task.h"
#include "os/fd.h"

namespace samovar {

struct ChannelFrame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::string meta;     // fields separated by one NUL; at most 65,535 bytes
  std::string payload;  // a copy the channel owns
};

class FrameChannel {
 public:
  static constexpr Bytes kMaxFrame = Bytes::MiB(256);

  // Takes a connected Unix stream socket.
  FrameChannel(Executor loop, Fd socket, Bytes max_frame = kMaxFrame);
  FrameChannel(FrameChannel&&) = default;

  Task<Result<ChannelFrame>> Read();
  // The next frame where all of it has come already, as Read() would answer; else nothing.
  std::optional<Result<ChannelFrame>> TakeWhole();
  Task<Result<void>> Write(ChannelFrame frame);

  // Several frames in one sendmsg: first their bytes, one behind the other, then Send.
  // `frame` has no payload of its own. kTooLarge adds nothing.
  Result<void> Append(std::string& bytes, const ChannelFrame& frame, std::string_view payload);
  struct Sent {
    std::size_t size = 0;  // what the socket took before it failed
    Result<void> all = {};
  };
  // What the socket takes at once.
  Sent TrySend(std::string_view bytes);
  // All of it. `bytes` lives until this returns.
  Task<Sent> Send(const std::string& bytes);

  // Wakes whoever waits; every later call answers kUnavailable.
  void Close();

 private:
  Task<Result<void>> Fill(std::size_t want);
  Task<Result<std::size_t>> Receive(char* to, std::size_t size);
  Task<Result<void>> ReadRest(std::string& payload, std::size_t size);
  Result<std::size_t> TakeHead(ChannelFrame& frame, std::size_t& meta);

  asio::basic_stream_socket<asio::local::stream_protocol, Executor> socket_;
  std::size_t max_frame_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // what was received and not yet taken: [begin_, end_) of buffer_
  std::size_t end_ = 0;
  bool filled_ = false;  // the last receive took all it could: try before waiting
};

}  // namespace samovar
