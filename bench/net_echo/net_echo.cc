// net_echo: the HTTP server with a handler that does nothing, as the ceiling of what the gateway
// can reach. Prints its port; SIGTERM ends it and prints the processor time of a request.

#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>

#include "net/http_server.h"

namespace {

using namespace samovar;

std::uint64_t requests = 0;

Task<HttpResponse> Echo(HttpRequest request) {
  ++requests;
  HttpResponse response;
  response.headers.Add("Content-Type", "application/json");
  auto body = co_await request.body->ReadAll(Bytes::MiB(6));
  if (body) response.body = std::move(*body);
  co_return response;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main() {
  asio::io_context loop(1);
  SystemClock clock;
  HttpServer server(loop.get_executor(), clock, {}, Echo);
  auto port = server.Listen("127.0.0.1", 0);
  if (!port) {
    std::fprintf(stderr, "%s\n", port.error().message.c_str());
    return 1;
  }
  std::printf("%d\n", *port);
  std::fflush(stdout);
  asio::signal_set signals(loop, SIGTERM, SIGINT);
  auto stop = [&]() -> Task<void> {
    co_await server.Stop(Deadline::After(clock, std::chrono::seconds(1)));
    loop.stop();
  };
  signals.async_wait([&](auto, int) { asio::co_spawn(loop, stop(), asio::detached); });
  loop.run();
  std::printf("requests %llu, processor time %.2f us a request\n",
              static_cast<unsigned long long>(requests),
              CpuSeconds() * 1e6 / static_cast<double>(requests ? requests : 1));
}
