// How long a sandbox takes: from Create() to the first byte that its program writes to the channel.
// Usage: sandbox_create [COUNT [PAUSE_MS [LIVING]]], as root. Between two creations PAUSE_MS pass
// (default 100: each finds a spare shell, as a lone cold start does; 0: a burst). LIVING sandboxes
// stay beside (default 0).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "sandbox/sandbox_harness.h"

namespace samovar {
namespace {

using Ms = std::chrono::duration<double, std::milli>;
using std::chrono::steady_clock;

SandboxSpec HelloSpec() {
  SandboxSpec spec = SpecFor({"/var/task/isolation_probe", "hello"});
  std::string probe = ISOLATION_PROBE;
  spec.mounts = {{probe.substr(0, probe.rfind('/')), "/var/task", {}}};
  spec.channel = true;
  spec.runtime_api = true;
  return spec;
}

Task<void> FirstByte(int fd) {
  asio::posix::basic_stream_descriptor<Executor> stream(co_await asio::this_coro::executor, fd);
  char byte;
  co_await stream.async_read_some(asio::buffer(&byte, 1), asio::use_awaitable_t<Executor>());
}

Task<void> Pause(int ms) {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(ms));
  co_await timer.async_wait(asio::use_awaitable_t<Executor>());
}

void Print(const char* what, std::vector<double> times) {
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  std::printf("%-28s median %6.2f ms   p90 %6.2f   max %6.2f   (%zu)\n", what,
              times[times.size() / 2], times[times.size() * 9 / 10], times.back(), times.size());
}

Task<void> Measure(SandboxHost& host, int count, int pause_ms, int living) {
  std::vector<std::unique_ptr<Sandbox>> beside;
  for (int i = 0; i < living; ++i) {
    auto made = co_await host.Create(SpecFor({"/bin/sleep", "1000"}));
    if (!made) {
      std::printf("%s\n", made.error().message.c_str());
      co_return;
    }
    beside.push_back(std::move(*made));
  }
  std::vector<double> created, first_byte, gone;
  for (int i = 0; i < count; ++i) {
    co_await Pause(pause_ms);
    auto start = steady_clock::now();
    auto sandbox = co_await host.Create(HelloSpec());
    if (!sandbox) {
      std::printf("%s\n", sandbox.error().message.c_str());
      co_return;
    }
    created.push_back(Ms(steady_clock::now() - start).count());
    co_await FirstByte((*sandbox)->TakeChannel().Release());
    first_byte.push_back(Ms(steady_clock::now() - start).count());
    start = steady_clock::now();
    (*sandbox)->Kill();
    co_await (*sandbox)->WaitExit();
    gone.push_back(Ms(steady_clock::now() - start).count());
  }
  Print("Create() answers", created);
  Print("first byte on the channel", first_byte);
  Print("Kill() to WaitExit()", gone);
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  int count = argc > 1 ? std::atoi(argv[1]) : 200;
  int pause_ms = argc > 2 ? std::atoi(argv[2]) : 100;
  int living = argc > 3 ? std::atoi(argv[3]) : 0;
  if (::geteuid() != 0) {
    std::fprintf(stderr, "sandbox_create needs root\n");
    return 1;
  }
  std::string dir = samovar::NewDataDir();
  int status = samovar::WaitFor(samovar::StartTree(dir, [&](samovar::SandboxHost& host) {
    return samovar::Measure(host, count, pause_ms, living);
  }));
  std::filesystem::remove_all(dir);
  return status == 0 ? 0 : 1;
}
