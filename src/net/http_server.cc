#include "net/http_server.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <list>
#include <vector>

#include "base/log.h"
#include "net/http_connection.h"
#include "net/task_group.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
using Tcp = asio::ip::tcp;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;

std::unexpected<Error> ListenFailed(const std::string& what,
                                    const boost::system::error_code& error) {
  Code code = Code::kUnavailable;
  if (error == asio::error::address_in_use) code = Code::kConflict;
  if (error == asio::error::access_denied) code = Code::kDenied;
  return Fail(code, what + ": " + error.message());
}

Result<asio::ip::address> ParseAddress(const std::string& host) {
  boost::system::error_code error;
  auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) return Fail(Code::kInvalid, "listen on " + host + ": not an IP address");
  return address;
}

}  // namespace

struct HttpServer::State : std::enable_shared_from_this<HttpServer::State> {
  struct Client {
    std::unique_ptr<HttpConnection> connection;
    asio::cancellation_signal signal;
  };

  State(Executor executor, const Clock& clock, HttpServerOptions options, HttpHandler handler)
      : loop(executor),
        service{clock, options, std::move(handler)},
        acceptor_tasks(executor),
        empty(executor, SteadyTime::max()) {}

  Executor loop;
  HttpService service;
  std::list<Acceptor> acceptors;
  std::list<Client> clients;
  TaskGroup acceptor_tasks;
  bool ticking = false;
  Timer empty;  // cancelled when the last client ends

  void Start(HttpConnection::Socket socket);
  void ListenOn(Acceptor acceptor);
  static Task<void> AcceptAll(std::shared_ptr<State> self, Acceptor& acceptor);
  static Task<void> Tick(std::shared_ptr<State> self);
  Task<bool> WaitUntilEmpty(Deadline deadline);
};

void HttpServer::State::Start(HttpConnection::Socket socket) {
  if (clients.size() >= service.options.max_connections || service.stopping) return;
  auto at = clients.emplace(clients.end());
  at->connection = std::make_unique<HttpConnection>(service, std::move(socket));
  auto done = [self = shared_from_this(), at](const std::exception_ptr& thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const boost::system::system_error& error) {
      if (error.code() != asio::error::operation_aborted) {
        LogError("a connection ended: {}", error.what());
      }
    } catch (const std::exception& error) {
      LogError("a connection ended: {}", error.what());
    }
    self->clients.erase(at);
    if (self->clients.empty()) self->empty.cancel();
  };
  asio::co_spawn(loop, at->connection->Serve(),
                 asio::bind_cancellation_slot(at->signal.slot(), std::move(done)));
}

void HttpServer::State::ListenOn(Acceptor acceptor) {
  acceptors.push_back(std::move(acceptor));
  acceptor_tasks.Spawn(AcceptAll(shared_from_this(), acceptors.back()));
  if (!std::exchange(ticking, true)) acceptor_tasks.Spawn(Tick(shared_from_this()));
}

Task<void> HttpServer::State::AcceptAll(std::shared_ptr<State> self, Acceptor& acceptor) {
  while (!self->service.stopping) {
    auto [error, socket] = co_await acceptor.async_accept(kTuple);
    if (!error) {
      self->Start(std::move(socket));
    } else if (!acceptor.is_open() || error == asio::error::operation_aborted) {
      co_return;
    } else if (error != asio::error::connection_aborted) {
      // No descriptors left: the clients wait in the backlog until some are free.
      LogWarn("accepting connections failed: {}", error.message());
      Timer pause(self->loop, std::chrono::milliseconds(100));
      co_await pause.async_wait(kTuple);
    }
  }
}

Task<void> HttpServer::State::Tick(std::shared_ptr<State> self) {
  Timer timer(self->loop);
  while (true) {
    timer.expires_after(self->service.options.tick);
    auto [error] = co_await timer.async_wait(kTuple);
    if (error) co_return;
    auto now = self->service.clock.Now();
    for (auto& client : self->clients) {
      if (client.connection->CutAt() <= now) client.connection->Cut();
    }
  }
}

Task<bool> HttpServer::State::WaitUntilEmpty(Deadline deadline) {
  while (!clients.empty()) {
    auto left = deadline.Left(service.clock.Now());
    if (left.count() == 0) co_return false;
    if (deadline.at == SteadyTime::max()) {
      empty.expires_at(SteadyTime::max());
    } else {
      empty.expires_after(left);
    }
    auto [error] = co_await empty.async_wait(kTuple);
    if (!error) co_return clients.empty();
  }
  co_return true;
}

HttpServer::HttpServer(Executor loop, const Clock& clock, HttpServerOptions options,
                       HttpHandler handler)
    : state_(std::make_shared<State>(std::move(loop), clock, options, std::move(handler))) {}

HttpServer::~HttpServer() = default;

Result<std::uint16_t> HttpServer::Listen(const std::string& host, std::uint16_t port) {
  TRY(auto address, ParseAddress(host));
  std::string what = "listen on " + host + ":" + std::to_string(port);
  Acceptor acceptor(state_->loop);
  boost::system::error_code error;
  acceptor.open(address.is_v6() ? Tcp::v6() : Tcp::v4(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind({address, port}, error);
  if (!error) acceptor.listen(4096, error);
  if (error) return ListenFailed(what, error);
  auto bound = acceptor.local_endpoint(error);
  if (error) return ListenFailed(what, error);
  state_->ListenOn(std::move(acceptor));
  return bound.port();
}

Result<void> HttpServer::Adopt(int listening_fd) {
  Acceptor acceptor(state_->loop);
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(listening_fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    return std::unexpected(ErrnoError("adopt a listening socket"));
  }
  boost::system::error_code error;
  acceptor.assign(name.ss_family == AF_INET6 ? Tcp::v6() : Tcp::v4(), listening_fd, error);
  if (error) return ListenFailed("adopt a listening socket", error);
  state_->ListenOn(std::move(acceptor));
  return {};
}

Task<void> HttpServer::Stop(Deadline deadline) {
  auto state = state_;
  state->service.stopping = true;
  boost::system::error_code ignored;
  for (auto& acceptor : state->acceptors) acceptor.close(ignored);
  for (auto& client : state->clients) {
    client.connection->WindUp();
  }
  if (!co_await state->WaitUntilEmpty(deadline)) {
    LogWarn("{} connections were cut at the deadline", state->clients.size());
    std::vector<State::Client*> left;
    for (auto& client : state->clients) left.push_back(&client);
    for (auto* client : left) {
      client->connection->Cut();
      client->signal.emit(asio::cancellation_type::terminal);
    }
    co_await state->WaitUntilEmpty(Deadline::Never());
  }
  co_await state->acceptor_tasks.Stop();
}

}  // namespace samovar
