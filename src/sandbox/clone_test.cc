// Clones of sandboxes through the real spawner: what each has of its own, what it outlives, and
// what templates that break the protocol get.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/steady_timer.hpp>
#include <fstream>

#include "sandbox/sandbox_harness.h"

namespace samovar {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

CloneSpec CloneOf(const SandboxSpec& spec, std::vector<std::string> env = {}) {
  static int counter = 0;
  return {.id = fmt::format("{}-c{}", spec.id, ++counter), .env = std::move(env)};
}

// Until an honest template has said READY: before, its /tmp may not be as it will be.
Task<void> AwaitReady(Sandbox& original) {
  asio::posix::basic_stream_descriptor<Executor> channel(co_await asio::this_coro::executor,
                                                         original.TakeChannel().Release());
  char head[8];
  co_await asio::async_read(channel, asio::buffer(head), asio::use_awaitable_t<Executor>());
  (void)channel.release();  // it stays open: its end would end the template
}

// Whether clones are still made of an honest template: the spawner has taken no harm.
Task<void> ExpectClones(SandboxHost& host) {
  SandboxSpec spec = CloneProbe("honest");
  auto original = co_await host.Create(spec);
  EXPECT_TRUE(original) << original.error().message;
  if (!original) co_return;
  auto clone = co_await (*original)->Clone(CloneOf(spec));
  EXPECT_TRUE(clone) << clone.error().message;
  if (clone) EXPECT_EQ((co_await (*clone)->WaitExit()).code, 7);
}

TEST(Clone, GoesOnWithMemoryAndFilesOfItsOwn) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = CloneProbe("honest");
    auto original = co_await host.Create(spec);
    EXPECT_TRUE(original) << original.error().message;
    if (!original) co_return;
    co_await AwaitReady(**original);
    for (const char* who : {"first", "second", "third"}) {
      auto clone = co_await (*original)->Clone(CloneOf(spec, {fmt::format("WHO={}", who)}));
      EXPECT_TRUE(clone) << clone.error().message;
      if (!clone) co_return;
      EXPECT_EQ(co_await ReadAll((*clone)->TakeLog()),
                fmt::format("pid 2 count 42 who {} left left+42 mode 640 hard left link "
                            "/proc/1/root/etc/shadow fifo 1 shm memory unshare -1\n",
                            who));
      auto exit = co_await (*clone)->WaitExit();
      EXPECT_EQ(exit.code, 7);
      EXPECT_EQ(exit.signal, 0);
    }
    (*original)->Kill();
    EXPECT_EQ((co_await (*original)->WaitExit()).signal, SIGKILL);
  });
}

TEST(Clone, OutlivesItsTemplateAndEndsByItself) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = CloneProbe("waits");
    auto original = co_await host.Create(spec);
    EXPECT_TRUE(original) << original.error().message;
    if (!original) co_return;
    std::vector<std::unique_ptr<Sandbox>> clones;
    std::vector<Fd> logs;
    for (int i = 0; i < 20; ++i) {
      auto clone = co_await (*original)->Clone(CloneOf(spec));
      EXPECT_TRUE(clone) << clone.error().message;
      if (!clone) co_return;
      logs.push_back((*clone)->TakeLog());
      co_await AwaitUp(logs.back().Get());
      clones.push_back(std::move(*clone));
    }
    (*original)->Kill();
    EXPECT_EQ((co_await (*original)->WaitExit()).signal, SIGKILL);
    auto late = co_await (*original)->Clone(CloneOf(spec));
    EXPECT_FALSE(late);
    if (!late) EXPECT_EQ(late.error().code, Code::kUnavailable);
    for (std::size_t i = 0; i < clones.size(); ++i) {
      char byte;
      EXPECT_LT(::read(logs[i].Get(), &byte, 1), 0) << "a clone ended with its template";
      clones[i]->Freeze(i % 2 == 0);
      clones[i]->Kill();
      EXPECT_EQ((co_await clones[i]->WaitExit()).signal, SIGKILL);
    }
    co_await ExpectClones(host);
  });
}

TEST(Clone, HasTheMemoryLimitToItself) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = CloneProbe("eats");
    auto original = co_await host.Create(spec);
    EXPECT_TRUE(original) << original.error().message;
    if (!original) co_return;
    for (int i = 0; i < 2; ++i) {
      auto clone = co_await (*original)->Clone(CloneOf(spec));
      EXPECT_TRUE(clone) << clone.error().message;
      if (!clone) co_return;
      auto exit = co_await (*clone)->WaitExit();
      EXPECT_TRUE(exit.out_of_memory);
      EXPECT_EQ(exit.signal, SIGKILL);
    }
  });
}

struct Hostile {
  const char* how;
  Code code;
  const char* message;
};

TEST(Clone, IsRefusedToATemplateThatBreaksTheProtocol) {
  static const Hostile kCases[] = {
      {"dies", Code::kUnavailable, "the template ended"},
      {"silent-end", Code::kUnavailable, "did not make a clone"},
      {"says-error", Code::kUnavailable, "the template made no clone"},
      {"lies", Code::kUnavailable, "not the first of its pid namespace"},
      {"forges", Code::kUnavailable, "what came as a clone is none"},
      {"brings-others", Code::kDenied, "brought other processes along"},
      {"second-init", Code::kUnavailable, "two namespaces"},
      {"big-tmp", Code::kUnsupported, "more in /tmp than a clone takes over"},
      {"deep-tmp", Code::kUnsupported, "more in /tmp than a clone takes over"}};
  RunInServer([](SandboxHost& host) -> Task<void> {
    for (const auto& c : kCases) {
      SandboxSpec spec = CloneProbe(c.how);
      auto original = co_await host.Create(spec);
      EXPECT_TRUE(original) << c.how << ": " << original.error().message;
      if (!original) continue;
      if (c.code == Code::kUnsupported) co_await AwaitReady(**original);
      auto clone = co_await (*original)->Clone(CloneOf(spec));
      EXPECT_FALSE(clone) << c.how;
      if (clone) continue;
      EXPECT_EQ(clone.error().code, c.code) << c.how;
      EXPECT_THAT(clone.error().message, HasSubstr(c.message)) << c.how;
      EXPECT_LT(clone.error().message.size(), 500u) << c.how;
    }
    co_await ExpectClones(host);
  });
}

TEST(Clone, IsKilledWhereItsTemplateFloodsItsSocket) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = CloneProbe("floods");
    auto original = co_await host.Create(spec);
    EXPECT_TRUE(original) << original.error().message;
    if (!original) co_return;
    // It floods from the start: while the clone is made, or after.
    auto clone = co_await (*original)->Clone(CloneOf(spec));
    if (clone) EXPECT_EQ((co_await (*clone)->WaitExit()).signal, SIGKILL);
    if (!clone) EXPECT_EQ(clone.error().code, Code::kUnavailable) << clone.error().message;
    co_await ExpectClones(host);
  });
}

TEST(Clone, OfATemplateThatDiesInBetweenIsMadeOrRefused) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    for (int i = 0; i < 10; ++i) {
      SandboxSpec spec = CloneProbe("dies-in-between");
      auto original = co_await host.Create(spec);
      EXPECT_TRUE(original) << original.error().message;
      if (!original) co_return;
      auto clone = co_await (*original)->Clone(CloneOf(spec));
      if (clone) {
        auto exit = co_await (*clone)->WaitExit();
        EXPECT_TRUE(exit.code == 7 || exit.signal == SIGKILL) << exit.code << " " << exit.signal;
      } else {
        EXPECT_THAT(clone.error().code, AnyOf(Code::kUnavailable, Code::kDenied))
            << clone.error().message;
      }
      EXPECT_EQ((co_await (*original)->WaitExit()).signal, SIGKILL);
    }
    co_await ExpectClones(host);
  });
}

TEST(Clone, IsOfClonableSandboxesOnly) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = SpecFor({"/bin/sleep", "1000"});
    auto plain = co_await host.Create(spec);
    EXPECT_TRUE(plain);
    if (!plain) co_return;
    auto clone = co_await (*plain)->Clone(CloneOf(spec));
    EXPECT_FALSE(clone);
    if (!clone) EXPECT_EQ(clone.error().code, Code::kUnsupported) << clone.error().message;

    spec = CloneProbe("waits");
    auto original = co_await host.Create(spec);
    EXPECT_TRUE(original);
    if (!original) co_return;
    clone = co_await (*original)->Clone({.id = "../x", .env = {}});
    EXPECT_FALSE(clone);
    if (!clone) EXPECT_EQ(clone.error().code, Code::kInvalid) << clone.error().message;
  });
}

// The first start of a kind is an ordinary one; after it a process is kept ready.
TEST(StartedAhead, TakesInWhatItIsFor) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    std::string folder = NewDataDir();
    for (const char* name : {"code", "low", "high"}) {
      std::filesystem::create_directory(folder + "/" + name);
      std::ofstream(folder + "/" + name + "/name") << name;
    }
    bool ahead = false;
    asio::steady_timer pause(co_await asio::this_coro::executor);
    for (int i = 0; i < 100 && !ahead; ++i) {
      // It is started while nothing else is to be done.
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::use_awaitable_t<Executor>());
      SandboxSpec spec = CloneProbe("generic");
      spec.clonable = false;
      spec.boot = GenericBoot{.env = {"AHEAD=1"}, .mounts = spec.mounts};
      spec.mounts.push_back({folder + "/code", "/opt/code", {}});
      spec.mounts.push_back({folder + "/low", "/opt/layers", {folder + "/high"}});
      spec.env = {"NAME=value"};
      spec.tmp_size = Bytes::MiB(32);
      auto outcome = co_await RunToEnd(host, spec);
      EXPECT_TRUE(outcome) << outcome.error().message;
      if (!outcome) break;
      EXPECT_EQ(outcome->exit.code, 5) << outcome->output;
      ahead = !outcome->output.starts_with("afresh");
      EXPECT_EQ(outcome->output,
                std::string(ahead ? R"({"take":{"env":["NAME=value"],"cwd":"/tmp"}})" : "afresh") +
                    " file code layer high tmp 32 MiB left 0\n");
    }
    EXPECT_TRUE(ahead) << "none was started ahead";
    std::filesystem::remove_all(folder);
  });
}

}  // namespace
}  // namespace samovar
