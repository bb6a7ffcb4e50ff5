#pragma once
// FakeHost: sandboxes without processes, for tests of this room. The "process" is a coroutine at
// the other end of a real socket pair and a real pipe.
// Threads  The event loop only.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "instances/signal.h"
#include "net/frame_channel.h"
#include "sandbox/sandbox.h"
#include "wire/channel.h"

namespace samovar {

inline SandboxExit ExitedWith(int code) {
  SandboxExit exit;
  exit.code = code;
  return exit;
}
inline SandboxExit KilledBy(int signal, bool out_of_memory = false) {
  SandboxExit exit;
  exit.signal = signal;
  exit.out_of_memory = out_of_memory;
  return exit;
}

struct FakeProcess {
  FakeProcess(const Executor& loop, Fd socket, Fd log)
      : channel(loop, std::move(socket)), log_end(std::move(log)), ended(loop) {}

  void Exit(SandboxExit how) {
    if (exit) return;
    exit = how;
    log_end = Fd();
    channel.Close();
    ended.Notify();
  }
  void Print(std::string_view text) {
    CHECK(::write(log_end.Get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  Task<void> Send(FrameType type, std::string meta, std::string payload) {
    ChannelFrame frame;
    frame.type = static_cast<std::uint8_t>(type);
    frame.meta = std::move(meta);
    frame.payload = std::move(payload);
    (void)co_await channel.Write(std::move(frame));
  }

  SandboxSpec spec;
  FakeProcess* parent = nullptr;  // of a clone: its template
  std::vector<std::string> clone_env;
  std::string report = R"({"clonable":true})";  // what it says of itself as a template
  FrameChannel channel;
  Fd log_end;
  std::optional<SandboxExit> exit;
  Signal ended;
  Bytes memory = Bytes::MiB(20);
  bool cpu_limited = false;
};

using FakeProcessPtr = std::shared_ptr<FakeProcess>;

class FakeHost;

class FakeSandbox final : public Sandbox {
 public:
  FakeSandbox(FakeHost& host, FakeProcessPtr process, Fd channel, Fd log)
      : host_(host),
        process_(std::move(process)),
        channel_(std::move(channel)),
        log_(std::move(log)) {}
  ~FakeSandbox() override { Kill(); }

  const std::string& Id() const override { return process_->spec.id; }
  Fd TakeChannel() override { return std::move(channel_); }
  Fd TakeLog() override { return std::move(log_); }
  Fd TakeRuntimeApi() override { return {}; }
  Bytes MemoryInUse() override { return process_->memory; }
  Bytes BootedMemory() const override;
  void UseCpuLimit() override { process_->cpu_limited = true; }
  void Freeze(bool) override {}
  void Kill() override { process_->Exit({.signal = 9, .max_memory = process_->memory}); }
  Task<SandboxExit> WaitExit() override {
    auto process = process_;
    while (!process->exit) co_await process->ended.Wait();
    co_return *process->exit;
  }
  Task<Result<std::unique_ptr<Sandbox>>> Clone(CloneSpec spec) override;

 private:
  FakeHost& host_;
  FakeProcessPtr process_;
  Fd channel_;
  Fd log_;
};

// What runs "inside": when it returns the process goes on until it is killed or exits itself.
using FakeProgram = std::function<Task<void>(FakeProcessPtr process)>;

class FakeHost final : public SandboxHost {
 public:
  FakeHost(Executor loop, FakeProgram program) : loop_(loop), program_(std::move(program)) {}

  Task<Result<std::unique_ptr<Sandbox>>> Create(SandboxSpec spec) override {
    if (refuse) co_return std::unexpected(*refuse);
    co_return Run(std::move(spec), nullptr, {});
  }
  void DropBooted() override { ++booted_dropped; }
  std::string_view Isolation() const override { return "full"; }

  std::unique_ptr<Sandbox> Run(SandboxSpec spec, FakeProcess* parent,
                               std::vector<std::string> clone_env) {
    int pair[2];
    int pipe[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK) == 0);
    auto process = std::make_shared<FakeProcess>(loop_, Fd(pair[1]), Fd(pipe[1]));
    process->spec = std::move(spec);
    process->parent = parent;
    process->clone_env = std::move(clone_env);
    if (not_clonable) process->report = *not_clonable;
    if (parent) process->memory = Bytes::MiB(7);
    processes.push_back(process);
    asio::co_spawn(loop_, program_(process), asio::detached);
    return std::make_unique<FakeSandbox>(*this, process, Fd(pair[0]), Fd(pipe[0]));
  }

  int Living() const {
    int n = 0;
    for (const auto& process : processes) n += process->exit ? 0 : 1;
    return n;
  }

  std::vector<FakeProcessPtr> processes;
  std::optional<Error> refuse;
  std::optional<Error> refuse_clones;
  std::optional<std::string> not_clonable;  // the report of every template
  Bytes booted_memory;                      // of what every sandbox with a boot takes over
  int booted_dropped = 0;                   // how often

 private:
  Executor loop_;
  FakeProgram program_;
};

inline Bytes FakeSandbox::BootedMemory() const {
  return process_->spec.boot ? host_.booted_memory : Bytes{};
}

inline Task<Result<std::unique_ptr<Sandbox>>> FakeSandbox::Clone(CloneSpec spec) {
  if (host_.refuse_clones) co_return std::unexpected(*host_.refuse_clones);
  if (process_->exit) co_return Fail(Code::kUnavailable, "the template has ended");
  SandboxSpec clone = process_->spec;
  clone.id = std::move(spec.id);
  co_return host_.Run(std::move(clone), process_.get(), std::move(spec.env));
}

}  // namespace samovar
