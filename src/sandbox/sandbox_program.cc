// The last steps before the user's program, for both kinds of isolation.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>
#include <utility>
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

Result<void> PlaceDescriptors(int log_write, int channel, int control, int* setup) {
  Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::pair<int, int> wanted[] = {
      {null.Get(), 0}, {log_write, 1}, {log_write, 2}, {channel, 3}, {control, 4}};
  int high[std::size(wanted)];
  for (std::size_t i = 0; i < std::size(wanted); ++i) {
    high[i] = wanted[i].first < 0 ? -1 : DuplicateAbove(wanted[i].first, kAboveStandard);
    if (wanted[i].first >= 0 && high[i] < 0) return std::unexpected(ErrnoError("descriptors"));
  }
  *setup = DuplicateAbove(*setup, kAboveStandard);
  if (!null || *setup < 0) return std::unexpected(ErrnoError("place descriptors"));
  null.Release();  // its number may be one of the wanted
  // The program gets 0 to 4 and nothing else, whatever the spawner had open.
  if (CloseRange(3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) != 0) {
    return std::unexpected(ErrnoError("close_range"));
  }
  for (std::size_t i = 0; i < std::size(wanted); ++i) {
    if (high[i] >= 0) ::dup2(high[i], wanted[i].second);
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
  // Its share is that of any process; but when it is woken it waits for a free processor instead of
  // taking one in mid-work, which costs an interrupt, a change of process and back.
  const sched_param no_priority{};
  if (::sched_setscheduler(0, SCHED_BATCH, &no_priority) != 0) {
    return std::unexpected(ErrnoError("sched_setscheduler"));
  }
  return {};
}

Result<void> WaitForEgress(int socket) {
  constexpr int kPatienceMs = 10'000;
  pollfd wait{socket, POLLIN, 0};
  char byte = 0;
  if (::poll(&wait, 1, kPatienceMs) == 1 && ::recv(socket, &byte, 1, 0) == 1 && byte == '1') {
    return {};
  }
  return Fail(Code::kUnavailable, "slirp4netns did not open the way out");
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
  if (spec.image.empty()) {
    ::execve(argv[0], argv.data(), env.data());
  } else {
    for (const auto& variable : spec.env) {
      if (variable.starts_with("PATH=")) ::setenv("PATH", variable.c_str() + 5, 1);
    }
    ::execvpe(argv[0], argv.data(), env.data());
  }
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
