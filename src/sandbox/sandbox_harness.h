#pragma once
// For tests and benchmarks only: a whole supervised tree around a coroutine.
//
// How      RunInServer forks: the child calls RunSupervised, and the coroutine runs in its server
//          process, without privilege, on an event loop. EXPECTs in it print there and fail the
//          test through the exit status.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <functional>
#include <string>

#include "base/task.h"
#include "sandbox/supervisor.h"

namespace samovar {

using ServerTask = std::function<Task<void>(SandboxHost&)>;

// A new folder that an unprivileged server can reach.
inline std::string NewDataDir() {
  std::string path = "/tmp/samovar-test-XXXXXX";
  if (!::mkdtemp(path.data())) std::abort();
  std::filesystem::permissions(path, std::filesystem::perms(0755));
  return path;
}

inline int RunLoop(ServerSide side, const ServerTask& task) {
  asio::io_context loop;
  auto host = OpenSandboxHost(loop.get_executor(), std::move(side));
  bool failed = false;
  asio::co_spawn(Executor(loop.get_executor()), task(*host), [&](std::exception_ptr thrown) {
    if (thrown) {
      failed = true;
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "the test threw: %s\n", error.what());
      }
    }
    loop.stop();
  });
  loop.run();
  host.reset();
  std::fflush(nullptr);
  return failed || ::testing::Test::HasFailure() ? 1 : 0;
}

// Starts the tree; answers the supervisor's pid.
inline pid_t StartTree(const std::string& data_dir, const ServerTask& task,
                       const std::string& isolation = "full") {
  std::fflush(nullptr);
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  SupervisorOptions options;
  options.data_dir = data_dir;
  options.isolation = isolation;
  int code = RunSupervised(options, [&](ServerSide side) {
    ::alarm(120);  // a test that hangs must not hold the others
    int failed = RunLoop(std::move(side), task);
    ::_exit(failed);
    return failed;
  });
  ::_exit(code);
}

inline int WaitFor(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

inline void RunInServer(const ServerTask& task, const std::string& isolation = "full") {
  if (isolation == "full") {
    ASSERT_EQ(::geteuid(), 0u) << "tests of isolation \"full\" need root";
  }
  std::string dir = NewDataDir();
  EXPECT_EQ(WaitFor(StartTree(dir, task, isolation)), 0);
  std::filesystem::remove_all(dir);
}

// Everything up to the end of `fd`.
inline Task<std::string> ReadAll(Fd fd) {
  asio::posix::basic_stream_descriptor<Executor> stream(co_await asio::this_coro::executor,
                                                        fd.Release());
  std::string text;
  for (;;) {
    char buffer[4096];
    boost::system::error_code error;
    std::size_t got = co_await stream.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable_t<Executor>(), error));
    text.append(buffer, got);
    if (error) co_return text;
  }
}

// A small program's spec: 128 MiB, one channel less.
inline SandboxSpec SpecFor(std::vector<std::string> argv) {
  static int counter = 0;
  SandboxSpec spec;
  spec.id = fmt::format("t{}", ++counter);
  spec.argv = std::move(argv);
  spec.env = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  spec.cwd = "/tmp";
  spec.memory = Bytes::MiB(128);
  spec.tmp_size = Bytes::MiB(512);
  return spec;
}

// A template of tests/isolation_probe/clone_probe.cc, which lies beside isolation_probe.
inline SandboxSpec CloneProbe(const std::string& how) {
  std::string probes = std::filesystem::path(ISOLATION_PROBE).parent_path();
  SandboxSpec spec = SpecFor({"/var/task/clone_probe", how});
  spec.env.push_back("SAMOVAR_TEMPLATE=1");
  spec.mounts = {{probes, "/var/task", {}}};
  spec.channel = spec.clonable = true;
  return spec;
}

// Until the program has said "up\n".
inline Task<void> AwaitUp(int log) {
  asio::posix::basic_stream_descriptor<Executor> stream(co_await asio::this_coro::executor,
                                                        ::dup(log));
  char up[3];
  co_await asio::async_read(stream, asio::buffer(up), asio::use_awaitable_t<Executor>());
}

struct Outcome {
  std::string output;
  SandboxExit exit;
};

// Creates, reads the log to its end, waits for the exit.
inline Task<Result<Outcome>> RunToEnd(SandboxHost& host, SandboxSpec spec) {
  CO_TRY(auto sandbox, co_await host.Create(std::move(spec)));
  Outcome outcome;
  outcome.output = co_await ReadAll(sandbox->TakeLog());
  outcome.exit = co_await sandbox->WaitExit();
  co_return outcome;
}

}  // namespace samovar
