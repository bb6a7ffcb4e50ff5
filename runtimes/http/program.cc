#include "program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "os/fd.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

}  // namespace

Result<Program> Program::Start(char** argv) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Fail(Code::kUnavailable, "pipe failed");
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvp(argv[0], argv);
    const int why = errno;
    (void)!::write(theirs.Get(), &why, sizeof why);
    ::_exit(127);
  }
  if (pid < 0) return Fail(Code::kUnavailable, "fork failed");
  theirs = Fd();
  int why = 0;
  if (::read(ours.Get(), &why, sizeof why) == static_cast<ssize_t>(sizeof why)) {
    return Fail(Code::kInvalid, std::string("cannot run ") + argv[0] + ": " + std::strerror(why));
  }
  return Program(pid);
}

std::string Program::Ended() {
  int status = 0;
  if (ended_.empty() && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    ended_ = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status))
                                 : "exited with status " + std::to_string(WEXITSTATUS(status));
  }
  return ended_;
}

void Program::Terminate() {
  if (Ended().empty()) ::kill(pid_, SIGTERM);
}

Task<Result<void>> Program::WaitUntilItListens(asio::ip::tcp::endpoint door) {
  const Executor loop = co_await asio::this_coro::executor;
  auto pause = std::chrono::milliseconds(2);
  while (true) {
    Socket socket(loop);
    const auto [failed] = co_await socket.async_connect(door, kTuple);
    if (!failed) co_return Result<void>();
    if (const auto how = Ended(); !how.empty()) {
      co_return Fail(Code::kUnavailable, "the program " + how + " before it listened on port " +
                                             std::to_string(door.port()));
    }
    Timer timer(loop, pause);
    co_await timer.async_wait(kTuple);
    pause = std::min(pause * 2, std::chrono::milliseconds(50));
  }
}

}  // namespace samovar
