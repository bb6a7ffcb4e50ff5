#include "sandbox/sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/sandbox_harness.h"

namespace samovar {
namespace {

using ::testing::HasSubstr;

SandboxSpec Shell(const std::string& script) { return SpecFor({"/bin/sh", "-c", script}); }

TEST(Sandbox, RunsAProgramAndTellsItsOutputAndExitStatus) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    auto outcome = co_await RunToEnd(host, Shell("echo hello; id; echo $$; pwd; exit 7"));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if (!outcome) co_return;
    EXPECT_THAT(outcome->output, HasSubstr("hello\nuid=993(sbx_user1051) gid=990(sbx_user1051)"));
    EXPECT_EQ(outcome->exit.code, 7);
    EXPECT_EQ(outcome->exit.signal, 0);
    EXPECT_FALSE(outcome->exit.out_of_memory);
    std::printf("%s\n", outcome->output.c_str());
  });
}

}  // namespace
}  // namespace samovar
