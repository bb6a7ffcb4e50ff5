#pragma once
// ServerThread: an HttpServer on a loop of its own, for tests: the test's thread is the client.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <string>
#include <thread>

#include "net/http_client.h"
#include "net/http_server.h"

namespace samovar {

class ServerThread {
 public:
  ServerThread(const Clock& clock, HttpHandler handler, HttpServerOptions options = {})
      : clock_(clock), server_(loop_.get_executor(), clock, options, std::move(handler)) {
    port_ = server_.Listen("127.0.0.1", 0).value();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~ServerThread() {
    if (!stopped_) Stop(std::chrono::seconds(0));
    work_.reset();
    thread_.join();
  }

  void Stop(std::chrono::nanoseconds wait) {
    stopped_ = true;
    auto deadline = Deadline::After(clock_, wait);
    asio::co_spawn(loop_, server_.Stop(deadline), asio::use_future).get();
  }

  std::uint16_t Port() const { return port_; }
  Executor Loop() { return loop_.get_executor(); }
  HttpClient Client() const { return HttpClient({false, "127.0.0.1", port_}); }

 private:
  const Clock& clock_;
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  HttpServer server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
  bool stopped_ = false;
};

// A client that sends exactly the bytes it is given.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval limit{10, 0};  // a test that would hang fails instead
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;

  bool Connected() const { return connected_; }
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  // Reads until the text holds `mark` (to the end where there is none).
  std::string ReadUntil(std::string_view mark) {
    while (text_.find(mark) == text_.npos || mark.empty()) {
      char piece[4096];
      ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
      if (n <= 0) break;
      text_.append(piece, static_cast<std::size_t>(n));
    }
    auto at = mark.empty() ? text_.npos : text_.find(mark);
    std::string taken = text_.substr(0, at == text_.npos ? at : at + mark.size());
    text_.erase(0, taken.size());
    return taken;
  }
  std::string ReadToEnd() { return ReadUntil(""); }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  bool connected_ = false;
  std::string text_;
};

}  // namespace samovar
