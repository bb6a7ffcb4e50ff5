#pragma once
// HttpServer: HTTP/1.1 over Beast, one coroutine a connection, on the event loop it is given.
//
// How      Listens on addresses and on sockets made elsewhere (the Runtime API's listener comes out
//          of an instance's network namespace). Keep-alive and pipelining as HTTP/1.1 has them;
//          Expect: 100-continue answered when the handler first reads. A body or a peer that
//          stands still for idle_timeout is cut. While an answer streams, a client that goes away
//          ends (cancels) the stream.
// Errors   Listen answers kConflict for a taken port. A handler that throws answers 500 and is
//          logged. A malformed head is 400, a head over 64 KiB 431.
// Threads  The event loop only.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "net/http.h"

namespace samovar {

struct HttpServerOptions {
  std::size_t max_connections = 10'000;         // more are closed at once
  std::chrono::seconds idle_timeout{75};        // between requests
  std::chrono::seconds head_timeout{20};        // from first byte to whole head
  std::chrono::seconds exchange_timeout{1000};  // a handler's HttpRequest::deadline
  // How often the bounds above are checked; one timer serves all connections.
  std::chrono::milliseconds tick{1000};
};

class HttpServer {
 public:
  HttpServer(Executor loop, const Clock& clock, HttpServerOptions options, HttpHandler handler);
  ~HttpServer();  // REQUIRES: Stop() was awaited, or the loop no longer runs

  // Binds and listens; answers the port bound (for port 0).
  Result<std::uint16_t> Listen(const std::string& host, std::uint16_t port);
  // Takes a listening stream socket. The fd is owned from here on.
  Result<void> Adopt(int listening_fd);
  // Closes the listeners, lets running exchanges finish until the deadline, then cuts them.
  Task<void> Stop(Deadline deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace samovar
