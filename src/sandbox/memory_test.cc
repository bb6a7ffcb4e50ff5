// Memory and /tmp: two budgets that do not touch each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "sandbox/sandbox_harness.h"

namespace samovar {
namespace {

using ::testing::HasSubstr;

SandboxSpec Probe(std::vector<std::string> arguments) {
  std::string probe = ISOLATION_PROBE;
  std::size_t slash = probe.rfind('/');
  arguments.insert(arguments.begin(), "/var/task" + probe.substr(slash));
  SandboxSpec spec = SpecFor(std::move(arguments));
  spec.mounts = {{probe.substr(0, slash), "/var/task", {}}};
  return spec;
}

TEST(SandboxMemory, MoreThanTheLimitIsAnOutOfMemoryKillHoweverItIsUsed) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    for (const char* how : {"fill-memory", "fill-memory-together", "fill-shared"}) {
      auto outcome = co_await RunToEnd(host, Probe({how, "2000"}));
      EXPECT_TRUE(outcome) << outcome.error().message;
      if (!outcome) continue;
      EXPECT_TRUE(outcome->exit.out_of_memory) << how << ": " << outcome->output;
      EXPECT_EQ(outcome->exit.signal, SIGKILL) << how;
      EXPECT_EQ(outcome->exit.max_memory, Bytes::MiB(128)) << how;
      EXPECT_EQ(outcome->output, "") << how;
    }
  });
}

TEST(SandboxMemory, LessThanTheLimitIsNoneAndTheMostUsedIsTold) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    auto outcome = co_await RunToEnd(host, Probe({"fill-memory", "100"}));
    EXPECT_TRUE(outcome);
    if (!outcome) co_return;
    EXPECT_EQ(outcome->output, "open\n");
    EXPECT_FALSE(outcome->exit.out_of_memory);
    EXPECT_GE(outcome->exit.max_memory, Bytes::MiB(95));
    EXPECT_LE(outcome->exit.max_memory, Bytes::MiB(128));
  });
}

TEST(SandboxMemory, FillingTmpMeetsItsEndAndNeverTheMemoryLimit) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    for (const char* dir : {"/tmp", "/dev/shm"}) {
      auto outcome = co_await RunToEnd(host, Probe({"fill-files", dir}));
      EXPECT_TRUE(outcome);
      if (!outcome) continue;
      EXPECT_THAT(outcome->output, HasSubstr("shut: No space left on device")) << dir;
      EXPECT_FALSE(outcome->exit.out_of_memory) << dir;
      EXPECT_THAT(outcome->output, HasSubstr("512 MiB")) << dir;
    }
  });
}

TEST(SandboxMemory, FillingTmpWithEmptyFilesMeetsItsEndToo) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    auto outcome = co_await RunToEnd(host, Probe({"fill-inodes", "/tmp"}));
    EXPECT_TRUE(outcome);
    if (!outcome) co_return;
    EXPECT_THAT(outcome->output, HasSubstr("shut: No space left on device"));
    EXPECT_FALSE(outcome->exit.out_of_memory);
  });
}

TEST(SandboxMemory, AFullTmpLeavesTheMemoryThatWasBought) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = Probe({});
    std::string probe = spec.argv[0];
    spec.argv = {
        "/bin/sh", "-c",
        probe + " fill-files /tmp; " + probe + " fill-memory 100; " + probe + " fill-memory 1000"};
    auto outcome = co_await RunToEnd(host, std::move(spec));
    EXPECT_TRUE(outcome);
    if (!outcome) co_return;
    EXPECT_THAT(outcome->output, HasSubstr("No space left on device\nopen\n"));
    EXPECT_TRUE(outcome->exit.out_of_memory);
  });
}

TEST(SandboxMemory, MemoryInUseCountsTheProcessesAndNotTmp) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = Probe({"fill-files", "/tmp"});
    spec.argv = {"/bin/sh", "-c", spec.argv[0] + " fill-files /tmp; sleep 1000"};
    spec.tmp_size = Bytes::MiB(64);
    auto made = co_await host.Create(std::move(spec));
    EXPECT_TRUE(made);
    if (!made) co_return;
    asio::posix::basic_stream_descriptor<Executor> log(co_await asio::this_coro::executor,
                                                       (*made)->TakeLog().Release());
    std::string text(64, '\0');
    while (text.find("shut") == std::string::npos) {
      co_await log.async_read_some(asio::buffer(text), asio::use_awaitable_t<Executor>());
    }
    EXPECT_GT((*made)->MemoryInUse(), Bytes{0});
    EXPECT_LT((*made)->MemoryInUse(), Bytes::MiB(32));
  });
}

}  // namespace
}  // namespace samovar
