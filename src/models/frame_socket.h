#pragma once
// FrameSocket: the worker's end of the channel, read and written without an event loop.
//
// Why      The worker has one thread and one thing to wait for. What waits in the socket while a
//          model runs is the next batch, so reading means taking all that is there.
// Errors   kUnavailable when the server closed; kInvalid for a frame that the format does not
//          allow.
// Threads  One.
// Source   docs/formats/channel.md.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

struct FrameView {
  std::uint8_t type = 0;
  std::string_view meta;
  std::string_view payload;
};

class FrameSocket {
 public:
  explicit FrameSocket(int fd);  // not owned

  // Takes what is there; waits for something until `timeout` (nullopt: for ever). False: nothing
  // came.
  Result<bool> Receive(std::optional<std::chrono::microseconds> timeout);
  // The next whole frame; its views are valid until the next Receive.
  Result<std::optional<FrameView>> Next();

  // Keeps a frame to be sent; Flush sends what is kept, and answers whether there was something.
  void Append(std::uint8_t type, std::string_view meta, std::string_view payload);
  Result<bool> Flush();

 private:
  int fd_;
  std::vector<char> in_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::string out_;
};

}  // namespace samovar
