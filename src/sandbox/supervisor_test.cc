// The process tree of `samovar serve`: who becomes whom, who dies with whom, what stays (nothing).
#include "sandbox/supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <fstream>
#include <sstream>

#include "os/linux.h"
#include "sandbox/data_dir.h"
#include "sandbox/sandbox_harness.h"

namespace samovar {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Whether `condition` comes true within 10 seconds.
bool Eventually(const std::function<bool()>& condition) {
  auto until = steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (steady_clock::now() > until) return false;
    ::usleep(5000);
  }
  return true;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> found;
  auto text = ReadSmallFile(fmt::format("/proc/{}/task/{}/children", pid, pid));
  std::istringstream words(text ? *text : "");
  for (pid_t child; words >> child;) found.push_back(child);
  return found;
}

std::string NameOf(pid_t pid) {
  auto text = ReadSmallFile(fmt::format("/proc/{}/comm", pid));
  return text ? text->substr(0, text->find('\n')) : "";
}

// The processes below `pid`, at all depths.
std::vector<pid_t> Descendants(pid_t pid) {
  std::vector<pid_t> all;
  for (pid_t child : ChildrenOf(pid)) {
    all.push_back(child);
    for (pid_t below : Descendants(child)) all.push_back(below);
  }
  return all;
}

std::vector<std::string> CgroupsOf(const std::string& data_dir) {
  std::string name = DataDirName(std::filesystem::canonical(data_dir).string());
  std::vector<std::string> found;
  std::error_code ignored;
  for (auto at = std::filesystem::recursive_directory_iterator("/sys/fs/cgroup", ignored);
       at != std::filesystem::recursive_directory_iterator(); at.increment(ignored)) {
    if (at->is_directory(ignored) && at->path().string().find(name) != std::string::npos) {
      found.push_back(at->path());
    }
  }
  return found;
}

bool Gone(pid_t pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }

// The same of one that may have become our child.
bool Reaped(pid_t pid) {
  ::waitpid(pid, nullptr, WNOHANG);
  return Gone(pid);
}

// A task that keeps three sandboxes and says so in a file of the data directory.
ServerTask KeepThree(const std::string& dir) {
  return [dir](SandboxHost& host) -> Task<void> {
    std::vector<std::unique_ptr<Sandbox>> all;
    for (int i = 0; i < 3; ++i) {
      auto made = co_await host.Create(SpecFor({"/bin/sleep", "1000"}));
      EXPECT_TRUE(made) << made.error().message;
      if (made) all.push_back(std::move(*made));
    }
    all[1]->Freeze(true);
    std::ofstream(dir + "/up") << "up";
    asio::steady_timer wait(co_await asio::this_coro::executor, std::chrono::seconds(100));
    co_await wait.async_wait(asio::use_awaitable_t<Executor>());
  };
}

// A task that keeps a template with two clones, and two clones of a template that was killed.
ServerTask KeepClones(const std::string& dir) {
  return [dir](SandboxHost& host) -> Task<void> {
    std::vector<std::unique_ptr<Sandbox>> all;
    for (bool killed : {false, true}) {
      auto spec = CloneProbe("waits");
      auto original = co_await host.Create(spec);
      EXPECT_TRUE(original) << original.error().message;
      if (!original) co_return;
      for (const char* name : {"a", "b"}) {
        auto clone = co_await (*original)->Clone({.id = spec.id + name, .env = {}});
        EXPECT_TRUE(clone) << clone.error().message;
        if (!clone) co_return;
        co_await AwaitUp((*clone)->TakeLog().Get());
        all.push_back(std::move(*clone));
      }
      if (killed) {
        (*original)->Kill();
        (void)co_await (*original)->WaitExit();
      }
      all.push_back(std::move(*original));
    }
    all[0]->Freeze(true);
    std::ofstream(dir + "/up") << "up";
    asio::steady_timer wait(co_await asio::this_coro::executor, std::chrono::seconds(100));
    co_await wait.async_wait(asio::use_awaitable_t<Executor>());
  };
}

class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::geteuid(), 0u) << "these tests need root";
    // Orphans come to us, so that zombies cannot pass for survivors.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    dir_ = NewDataDir();
  }
  void TearDown() override {
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    std::filesystem::remove_all(dir_);
  }

  void StartAndWait(const ServerTask& task) {
    supervisor_ = StartTree(dir_, task);
    ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(dir_ + "/up"); }));
    for (pid_t child : ChildrenOf(supervisor_)) {
      (NameOf(child) == "samovar-spawner" ? spawner_ : server_) = child;
    }
    ASSERT_GT(spawner_, 0);
    ASSERT_GT(server_, 0);
  }

  // No process, cgroup or mount is left.
  void ExpectNothingLeft(const std::vector<pid_t>& pids) {
    for (pid_t pid : pids) {
      EXPECT_TRUE(Eventually([&] { return Reaped(pid); })) << "process " << pid << " is left";
    }
    EXPECT_TRUE(Eventually([&] { return CgroupsOf(dir_).empty(); }));
    EXPECT_THAT(CgroupsOf(dir_), IsEmpty());
    auto mounts = ReadSmallFile("/proc/self/mountinfo");
    ASSERT_TRUE(mounts);
    EXPECT_EQ(*mounts, mounts_before_);
  }

  std::string dir_;
  std::string mounts_before_ = *ReadSmallFile("/proc/self/mountinfo");
  pid_t supervisor_ = -1, spawner_ = -1, server_ = -1;
};

TEST_F(SupervisorTest, TheServerHasNoPrivilegeAndItsDataDirectoryIsItsOwn) {
  RunInServer([](SandboxHost&) -> Task<void> {
    EXPECT_EQ(::getuid(), 64321u);
    EXPECT_EQ(::geteuid(), 64321u);
    EXPECT_EQ(::getgid(), 64321u);
    EXPECT_NE(::setuid(0), 0);
    EXPECT_NE(::open("/etc/shadow", O_RDONLY), 0);
    auto status = ReadSmallFile("/proc/self/status");
    EXPECT_TRUE(status);
    EXPECT_THAT(*status, HasSubstr("CapEff:\t0000000000000000"));
    co_return;
  });
}

TEST_F(SupervisorTest, WhenTheServerEndsEverythingEnds) {
  StartAndWait(KeepThree(dir_));
  auto pids = Descendants(supervisor_);
  EXPECT_GE(pids.size(), 2u + 3u * 2u);
  ::kill(server_, SIGKILL);
  int status = WaitFor(supervisor_);
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGKILL);
  ExpectNothingLeft(pids);
}

TEST_F(SupervisorTest, WhenTheSupervisorIsKilledEverythingEnds) {
  StartAndWait(KeepThree(dir_));
  auto pids = Descendants(supervisor_);
  ::kill(supervisor_, SIGKILL);
  EXPECT_EQ(WTERMSIG(WaitFor(supervisor_)), SIGKILL);
  ExpectNothingLeft(pids);
}

TEST_F(SupervisorTest, WhenSupervisorAndSpawnerAreKilledTheNextLifeTidiesUp) {
  StartAndWait(KeepThree(dir_));
  auto pids = Descendants(supervisor_);
  ::kill(spawner_, SIGSTOP);  // so that it cannot tidy up when its parent dies
  ::kill(supervisor_, SIGKILL);
  ::kill(spawner_, SIGKILL);
  WaitFor(supervisor_);
  EXPECT_TRUE(Eventually([&] {
    ::waitpid(spawner_, nullptr, WNOHANG);
    return Gone(spawner_);
  }));
  EXPECT_FALSE(CgroupsOf(dir_).empty());
  EXPECT_EQ(WaitFor(StartTree(dir_, [](SandboxHost&) -> Task<void> { co_return; })), 0);
  ExpectNothingLeft(pids);
}

TEST_F(SupervisorTest, NothingIsLeftOfClonesWhoeverIsKilled) {
  for (pid_t* who : {&server_, &supervisor_, &spawner_}) {
    std::filesystem::remove(dir_ + "/up");
    StartAndWait(KeepClones(dir_));
    auto pids = Descendants(supervisor_);
    EXPECT_GE(pids.size(), 2u + 2u + 1u + 4u * 2u);  // of the second template only process 1
    ::kill(*who, SIGKILL);
    if (who == &spawner_) {  // another takes its place
      std::erase(pids, server_);
      for (pid_t pid : pids) EXPECT_TRUE(Eventually([&] { return Reaped(pid); }));
      auto another = [&] {
        auto children = ChildrenOf(supervisor_);
        return std::ranges::any_of(children, [](pid_t child) {
          return NameOf(child) == "samovar-spawner" && !ChildrenOf(child).empty();
        });
      };
      EXPECT_TRUE(Eventually(another));
      ::kill(supervisor_, SIGTERM);
    }
    WaitFor(supervisor_);
    ExpectNothingLeft(pids);
  }
}

TEST_F(SupervisorTest, SignalsReachTheServerAndItsStatusComesBack) {
  supervisor_ = ::fork();
  if (supervisor_ == 0) {
    SupervisorOptions options;
    options.data_dir = dir_;
    ::_exit(RunSupervised(options, [&](ServerSide) {
      static volatile sig_atomic_t told = 0;
      ::signal(SIGTERM, [](int) { told = 1; });
      std::ofstream(dir_ + "/up") << "up";
      while (!told) ::usleep(1000);
      return 42;
    }));
  }
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(dir_ + "/up"); }));
  auto pids = Descendants(supervisor_);
  ::kill(supervisor_, SIGTERM);
  EXPECT_EQ(WEXITSTATUS(WaitFor(supervisor_)), 42);
  ExpectNothingLeft(pids);
}

TEST_F(SupervisorTest, AServerThatIsEndingGetsNoOtherSpawner) {
  supervisor_ = ::fork();
  if (supervisor_ == 0) {
    SupervisorOptions options;
    options.data_dir = dir_;
    ::_exit(RunSupervised(options, [&](ServerSide side) {
      static volatile sig_atomic_t told = 0;
      ::signal(SIGTERM, [](int) { told = 1; });
      std::ofstream(dir_ + "/up") << "up";
      while (!told) ::usleep(1000);
      auto spawners = [] {
        auto all = ChildrenOf(::getppid());
        std::erase_if(all, [](pid_t child) { return NameOf(child) != "samovar-spawner"; });
        return all;
      };
      auto first = spawners();
      side.spawners = Fd();
      // Past the pause before a spawner is replaced.
      auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1200);
      while (std::chrono::steady_clock::now() < until) {
        for (pid_t spawner : spawners()) {
          if (std::ranges::count(first, spawner) == 0) return 1;
        }
      }
      return 0;
    }));
  }
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(dir_ + "/up"); }));
  auto pids = Descendants(supervisor_);
  ::kill(supervisor_, SIGTERM);
  EXPECT_EQ(WEXITSTATUS(WaitFor(supervisor_)), 0);
  ExpectNothingLeft(pids);
}

TEST_F(SupervisorTest, AKilledSpawnerIsReplacedAndItsSandboxesCountAsKilled) {
  auto task = [dir = dir_](SandboxHost& host) -> Task<void> {
    auto made = co_await host.Create(SpecFor({"/bin/sleep", "1000"}));
    EXPECT_TRUE(made);
    if (!made) co_return;
    std::ofstream(dir + "/up") << "up";
    auto exit = co_await (*made)->WaitExit();
    EXPECT_EQ(exit.signal, SIGKILL);
    // Waits for the next spawner.
    auto outcome = co_await RunToEnd(host, SpecFor({"/bin/echo", "again"}));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if (outcome) EXPECT_EQ(outcome->output, "again\n");
  };
  StartAndWait(task);
  auto pids = Descendants(supervisor_);
  ::kill(spawner_, SIGKILL);
  EXPECT_EQ(WaitFor(supervisor_), 0);
  ExpectNothingLeft(pids);
}

TEST_F(SupervisorTest, NothingIsLeftOfAServerThatIsKilledBetweenTwoSpawners) {
  StartAndWait(KeepThree(dir_));
  auto pids = Descendants(supervisor_);
  ::kill(spawner_, SIGKILL);
  pid_t second = -1;
  EXPECT_TRUE(Eventually([&] {
    for (pid_t child : ChildrenOf(supervisor_)) {
      if (child != server_ && child != spawner_ && !CgroupsOf(dir_).empty()) second = child;
    }
    return second > 0 && NameOf(second) == "samovar-spawner";
  }));
  // One that dies so young has no successor for a while.
  ::kill(second, SIGKILL);
  ::kill(server_, SIGKILL);
  WaitFor(supervisor_);
  ExpectNothingLeft(pids);
}

// As where the machine kills both, and the larger one takes longer to die.
TEST_F(SupervisorTest, NothingIsLeftOfASpawnerThatIsKilledAfterItsServer) {
  StartAndWait(KeepThree(dir_));
  auto pids = Descendants(supervisor_);
  ::kill(spawner_, SIGSTOP);
  ::kill(server_, SIGKILL);
  EXPECT_TRUE(Eventually([&] {
    auto children = ChildrenOf(supervisor_);
    return std::ranges::find(children, server_) == children.end();
  }));
  ::kill(spawner_, SIGKILL);
  WaitFor(supervisor_);
  ExpectNothingLeft(pids);
}

TEST_F(SupervisorTest, TwoServersCannotShareADataDirectory) {
  StartAndWait(KeepThree(dir_));
  auto pids = Descendants(supervisor_);
  auto second = OpenDataDir(dir_, std::nullopt, std::nullopt, std::chrono::milliseconds(0));
  EXPECT_FALSE(second);
  if (!second) EXPECT_EQ(second.error().code, Code::kConflict);
  ::kill(supervisor_, SIGTERM);
  WaitFor(supervisor_);
  ExpectNothingLeft(pids);
}

TEST_F(SupervisorTest, ADataDirectoryOutOfTheServersReachIsRefusedByName) {
  std::string closed = dir_ + "/closed";
  std::filesystem::create_directory(closed);
  std::filesystem::permissions(closed, std::filesystem::perms(0700));
  auto opened = OpenDataDir(closed + "/data", std::nullopt, std::nullopt);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("cannot pass through " + closed + " (mode 700)"));
}

TEST_F(SupervisorTest, WithoutRootItRefusesUnlessIsolationIsProcess) {
  pid_t child = ::fork();
  if (child == 0) {
    CHECK(::setresuid(64322, 64322, 64322) == 0);
    SupervisorOptions options;
    options.data_dir = "/tmp/samovar-test-never";
    ::_exit(RunSupervised(options, [](ServerSide) { return 0; }));
  }
  EXPECT_EQ(WEXITSTATUS(WaitFor(child)), 1);
}

// Removed within moments: only the spares and the three that live remain.
TEST_F(SupervisorTest, EndedSandboxesLeaveNoCgroupsWhileTheServerRuns) {
  auto task = [dir = dir_](SandboxHost& host) -> Task<void> {
    for (int i = 0; i < 20; ++i) {
      auto outcome = co_await RunToEnd(host, SpecFor({"/bin/true"}));
      EXPECT_TRUE(outcome);
    }
    co_await KeepThree(dir)(host);
  };
  StartAndWait(task);
  auto pids = Descendants(supervisor_);
  constexpr std::size_t kControllers = 4, kSpares = 4, kLiving = 3;
  EXPECT_TRUE(
      Eventually([&] { return CgroupsOf(dir_).size() <= kControllers * (1 + kSpares + kLiving); }));
  ::kill(supervisor_, SIGTERM);
  WaitFor(supervisor_);
  ExpectNothingLeft(pids);
}

}  // namespace
}  // namespace samovar
