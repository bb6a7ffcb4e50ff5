#include "os/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "os/fd.h"

extern char** environ;

namespace samovar {
namespace {

constexpr std::size_t kMaxOutput = 1 << 20;

struct Child {
  pid_t pid = -1;
  Fd out;
  Fd err;
};

Result<Child> Start(const std::vector<std::string>& argv) {
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0) return std::unexpected(ErrnoError("pipe"));
  Child child;
  child.out = Fd(out[0]);
  Fd out_end(out[1]);
  if (pipe2(err, O_CLOEXEC) != 0) return std::unexpected(ErrnoError("pipe"));
  child.err = Fd(err[0]);
  Fd err_end(err[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out_end.Get(), 1);
  posix_spawn_file_actions_adddup2(&actions, err_end.Get(), 2);
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  const int failed = posix_spawn(&child.pid, args[0], &actions, nullptr, args.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return std::unexpected(ErrnoError(argv[0], failed));
  return child;
}

// Reads both ends until they close; false when the time is up.
bool ReadAll(const Child& child, std::chrono::steady_clock::time_point until, std::string& out,
             std::string& err) {
  pollfd ends[2] = {{child.out.Get(), POLLIN, 0}, {child.err.Get(), POLLIN, 0}};
  std::string* texts[2] = {&out, &err};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    if (poll(ends, 2, static_cast<int>(left.count())) < 0 && errno != EINTR) return false;
    for (int i = 0; i < 2; ++i) {
      if ((ends[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      char piece[4096];
      const ssize_t n = read(ends[i].fd, piece, sizeof piece);
      if (n <= 0) {
        ends[i].fd = -1;
      } else if (texts[i]->size() < kMaxOutput) {
        texts[i]->append(piece, static_cast<std::size_t>(n));
      }
    }
  }
  return true;
}

std::string LastLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
}

}  // namespace

Result<std::string> RunProgram(const std::vector<std::string>& argv,
                               std::chrono::milliseconds timeout) {
  TRY(const Child child, Start(argv));
  std::string out;
  std::string err;
  const bool in_time = ReadAll(child, std::chrono::steady_clock::now() + timeout, out, err);
  if (!in_time) kill(child.pid, SIGKILL);
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) return Fail(Code::kTimeout, argv[0] + ": no answer in time");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return Fail(Code::kUnavailable, argv[0] + " failed: " + LastLine(err));
  }
  return out;
}

}  // namespace samovar
