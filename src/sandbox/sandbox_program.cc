// The last steps before the user's program, for both kinds of isolation.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "os/linux.h"
#include "os/packet_socket.h"
#include "sandbox/sandbox_child.h"

namespace samovar {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

constexpr int kAboveStandard = 10;

}  // namespace

void ReportAndExit(int setup, const Error& error) {
  (void)SendPacket(
      setup,
      fmt::format("E{}{}", static_cast<char>('0' + static_cast<int>(error.code)), error.message));
  ::_exit(127);
}

Result<void> PlaceDescriptors(int log_write, int channel, int* setup) {
  int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  int high_null = DuplicateAbove(null, kAboveStandard);
  int high_log = DuplicateAbove(log_write, kAboveStandard);
  int high_channel = channel < 0 ? -1 : DuplicateAbove(channel, kAboveStandard);
  int high_setup = DuplicateAbove(*setup, kAboveStandard);
  if (high_null < 0 || high_log < 0 || high_setup < 0 || (channel >= 0 && high_channel < 0)) {
    return std::unexpected(ErrnoError("place descriptors"));
  }
  ::dup2(high_null, 0);
  ::dup2(high_log, 1);
  ::dup2(high_log, 2);
  if (channel >= 0) {
    ::dup2(high_channel, 3);
  } else {
    ::close(3);
  }
  *setup = high_setup;
  // The program gets 0 to 3 and nothing else, whatever the spawner had open.
  if (CloseRange(channel >= 0 ? 4 : 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) != 0) {
    return std::unexpected(ErrnoError("close_range"));
  }
  return {};
}

Result<void> LimitResources() {
  const std::pair<__rlimit_resource_t, rlim_t> limits[] = {
      {RLIMIT_NOFILE, 1024}, {RLIMIT_CORE, 0},   {RLIMIT_MEMLOCK, 64 << 10},
      {RLIMIT_MSGQUEUE, 0},  {RLIMIT_RTPRIO, 0}, {RLIMIT_SIGPENDING, 4096}};
  for (auto [resource, most] : limits) {
    rlimit now{};
    ::getrlimit(resource, &now);
    rlim_t value = std::min(most, now.rlim_max);
    rlimit wanted{value, value};
    if (::setrlimit(resource, &wanted) != 0) return std::unexpected(ErrnoError("setrlimit"));
  }
  return {};
}

void RunProgram(const SandboxSpec& spec, int setup) {
  ::setsid();
  // Handlers go at exec, but what our caller ignored (nohup) would stay ignored.
  for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGCHLD}) {
    ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::chdir(spec.cwd.c_str()) != 0) {
    ReportAndExit(
        setup, {Code::kInvalid, fmt::format("sandbox cwd {}: {}", spec.cwd, std::strerror(errno))});
  }
  auto argv = Pointers(spec.argv), env = Pointers(spec.env);
  ::execve(argv[0], argv.data(), env.data());
  ReportAndExit(setup, {Code::kInvalid,
                        fmt::format("cannot run {}: {}", spec.argv[0], std::strerror(errno))});
}

Result<Fd> ListenOnLoopback(std::uint16_t port) {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return std::unexpected(ErrnoError("socket"));
  int on = 1;
  ::setsockopt(listener.Get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener.Get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.Get(), 128) != 0) {
    return std::unexpected(ErrnoError("listen for the Runtime API"));
  }
  return listener;
}

}  // namespace samovar
