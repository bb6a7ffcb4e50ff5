// Frames from a runtime, read off a socket as the server reads them. What was read and is written
// again is what came.

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "input.h"
#include "net/frame_channel.h"
#include "wire/channel.h"

using namespace samovar;

namespace {

// Reads to the end, writing each frame again.
Task<void> Pass(FrameChannel& from, FrameChannel& to) {
  while (true) {
    auto frame = co_await from.Read();
    if (!frame) break;
    (void)DecodeInvokeMeta(frame->meta);
    for (std::size_t i = 0; i < 9; ++i) (void)MetaField(frame->meta, i);
    CHECK((co_await to.Write(std::move(*frame))).has_value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 64 * 1024) return 0;  // what fits into the socket at once
  Input input(data, size);
  std::size_t limit = input.Number(1, 255) * 16;  // so that small inputs pass it too
  std::string_view bytes = input.Rest();
  int in[2];
  int out[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM, 0, in) == 0);
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM, 0, out) == 0);
  CHECK(::send(in[1], bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
        static_cast<ssize_t>(bytes.size()));
  ::shutdown(in[1], SHUT_WR);
  std::string again;
  {
    asio::io_context loop(1);
    FrameChannel from(loop.get_executor(), Fd(in[0]), Bytes{limit});
    FrameChannel to(loop.get_executor(), Fd(out[0]));
    bool ended = false;
    asio::co_spawn(loop, Pass(from, to), [&](std::exception_ptr thrown) {
      CHECK(!thrown);
      ended = true;
    });
    char piece[65536];
    while (!ended) {
      loop.restart();
      loop.poll();
      for (ssize_t n; (n = ::recv(out[1], piece, sizeof piece, MSG_DONTWAIT)) > 0;) {
        again.append(piece, static_cast<std::size_t>(n));
      }
    }
  }
  CHECK(bytes.starts_with(again));
  ::close(in[1]);
  ::close(out[1]);
  return 0;
}
