// RunInsideBuild (build_sandbox.h): the end of the proxy that is inside a build's sandbox.

#include <fmt/format.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "main/build_sandbox.h"

namespace samovar {

namespace {

void Carry(int client, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const Fd near(client), far(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!far ||
      connect(far.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return;
  }
  CarryBothWays(near.Get(), far.Get());
}

// The port that it listens on; 0 where it cannot.
int Listen(int& listener) {
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || bind(listener, at, sizeof address) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, at, &size) != 0) {
    return 0;
  }
  return ntohs(address.sin_port);
}

}  // namespace

// Its threads end with the process, and that with the sandbox.
int RunInsideBuild(int count, char** words) {
  if (count < 3) return 2;
  close(kItself);
  prctl(PR_SET_NAME, "samovar");
  int listener = -1;
  const int port = Listen(listener);
  if (port == 0) {
    std::fputs("samovar: no loopback inside of the build's sandbox\n", stderr);
    return 2;
  }
  std::thread([listener, path = std::string(words[0])] {
    for (;;) {
      const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (client >= 0) std::thread(Carry, client, path).detach();
    }
  }).detach();
  const auto proxy = fmt::format("http://127.0.0.1:{}", port);
  for (const char* name : {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy",
                           "npm_config_proxy", "npm_config_https_proxy", "CARGO_HTTP_PROXY"}) {
    setenv(name, proxy.c_str(), 1);
  }
  // The kernel counts what runs in this user namespace; elsewhere it counts all of the user's.
  const rlim_t processes = std::strtoul(words[1], nullptr, 10);
  const rlimit bound{.rlim_cur = processes, .rlim_max = processes};
  setrlimit(RLIMIT_NPROC, &bound);
  pid_t child = -1;
  const int failed = posix_spawnp(&child, words[2], nullptr, nullptr, words + 2, environ);
  if (failed != 0) {
    std::fputs((ErrnoError(std::string("cannot run ") + words[2], failed).message + "\n").c_str(),
               stderr);
    return 127;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::fflush(nullptr);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

}  // namespace samovar
