// A whole HTTP connection: bytes as a client may send them, through head, bodies, chunks and
// pipelining, to a handler that reads all it gets.

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "input.h"
#include "net/http_connection.h"

using namespace samovar;

namespace {

Task<HttpResponse> ReadAndEcho(HttpRequest request) {
  HttpResponse response;
  (void)request.Query("name");
  response.headers.Add("X-Echo", request.headers.Get("X-Echo"));
  while (true) {
    auto piece = co_await request.body->ReadSome();
    if (!piece || !*piece) break;
    CHECK(!(*piece)->empty());
    response.body += **piece;
  }
  co_return response;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 64 * 1024) return 0;  // what fits into the socket at once
  int fds[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  asio::io_context loop(1);
  FakeClock clock;
  HttpService service{clock, {}, ReadAndEcho};
  HttpConnection::Socket socket(loop.get_executor());
  socket.assign(asio::ip::tcp::v4(), fds[0]);
  CHECK(::send(fds[1], data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
  ::shutdown(fds[1], SHUT_WR);
  HttpConnection connection(service, std::move(socket));
  bool ended = false;
  asio::co_spawn(loop, connection.Serve(), [&](std::exception_ptr thrown) {
    CHECK(!thrown);
    ended = true;
  });
  // Answers are read so that the connection never waits for room.
  char reply[65536];
  while (!ended) {
    loop.restart();
    loop.poll();
    while (::recv(fds[1], reply, sizeof reply, MSG_DONTWAIT) > 0) continue;
  }
  ::close(fds[1]);
  return 0;
}
