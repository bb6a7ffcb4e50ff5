// Isolation "process": plain child processes, told where things really are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "sandbox/process_paths.h"
#include "sandbox/sandbox_harness.h"

namespace samovar {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ProcessPaths, TurnsInsidePathsIntoTheHosts) {
  SandboxSpec spec;
  spec.argv = {"/var/lang/bin/run", "--file=/var/task/x", "/var/task/app.py", "/var/tasks"};
  spec.env = {"A=/var/task", "PATH=/var/lang/bin:/usr/bin:/opt/bin", "TMPDIR=/tmp", "PLAIN",
              "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001"};
  spec.cwd = "/var/task";
  spec.mounts = {{"/data/code", "/var/task", {}},
                 {"/data/low", "/opt", {"/data/mid", "/data/high"}},
                 {"/home/ada/py", "/var/lang", {}},
                 {"/deep", "/var/lang/bin", {}}};
  auto mapped = ToHostPaths(spec, "/tmp/own", "127.0.0.1:5");
  EXPECT_THAT(mapped.argv,
              ElementsAre("/deep/run", "--file=/var/task/x", "/data/code/app.py", "/var/tasks"));
  EXPECT_THAT(
      mapped.env,
      ElementsAre("A=/data/code", "PATH=/deep:/usr/bin:/data/high/bin:/data/mid/bin:/data/low/bin",
                  "PLAIN", "TMPDIR=/tmp/own", "AWS_LAMBDA_RUNTIME_API=127.0.0.1:5"));
  EXPECT_EQ(mapped.cwd, "/data/code");
}

TEST(ProcessIsolation, RunsProgramsAndKeepsTheSameContract) {
  RunInServer(
      [](SandboxHost& host) -> Task<void> {
        EXPECT_EQ(host.Isolation(), "process");
        SandboxSpec spec =
            SpecFor({"/bin/sh", "-c", "pwd; echo $TMPDIR; cat a; echo x >&3; exit 5"});
        std::string code = NewDataDir();
        std::ofstream(code + "/a") << "a\n";
        spec.mounts = {{code, "/var/task", {}}};
        spec.cwd = "/var/task";
        spec.channel = true;
        spec.runtime_api = true;
        auto made = co_await host.Create(std::move(spec));
        EXPECT_TRUE(made) << made.error().message;
        if (!made) co_return;
        EXPECT_TRUE((*made)->TakeRuntimeApi());
        EXPECT_EQ(co_await ReadAll((*made)->TakeChannel()), "x\n");
        std::string log = co_await ReadAll((*made)->TakeLog());
        EXPECT_THAT(log, HasSubstr(code + "\n/tmp/samovar-"));
        EXPECT_THAT(log, HasSubstr("\na\n"));
        auto exit = co_await (*made)->WaitExit();
        EXPECT_EQ(exit.code, 5);
        std::filesystem::remove_all(code);

        auto failed = co_await host.Create(SpecFor({"/no/such/program"}));
        EXPECT_FALSE(failed);
        if (!failed) EXPECT_EQ(failed.error().code, Code::kInvalid);
      },
      "process");
}

TEST(ProcessIsolation, KillsTheProcessGroup) {
  RunInServer(
      [](SandboxHost& host) -> Task<void> {
        auto made = co_await host.Create(SpecFor({"/bin/sh", "-c", "sleep 1000 & sleep 1000"}));
        EXPECT_TRUE(made);
        if (!made) co_return;
        (*made)->Kill();
        EXPECT_EQ((co_await (*made)->WaitExit()).signal, SIGKILL);
        EXPECT_EQ(co_await ReadAll((*made)->TakeLog()), "");
      },
      "process");
}

TEST(ProcessIsolation, EndsAProcessThatPassesItsMemory) {
  RunInServer(
      [](SandboxHost& host) -> Task<void> {
        SandboxSpec spec = SpecFor({"/usr/bin/tail", "/dev/zero"});  // keeps all that it reads
        auto outcome = co_await RunToEnd(host, std::move(spec));
        EXPECT_TRUE(outcome);
        if (!outcome) co_return;
        EXPECT_TRUE(outcome->exit.out_of_memory);
        EXPECT_EQ(outcome->exit.signal, SIGKILL);
      },
      "process");
}

}  // namespace
}  // namespace samovar
