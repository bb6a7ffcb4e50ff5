// What a sandbox does for the server: programs run, answer, end, and leave nothing behind.
#include "sandbox/sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fstream>

#include "os/linux.h"
#include "sandbox/sandbox_harness.h"

namespace samovar {
namespace {

using ::testing::HasSubstr;

SandboxSpec Shell(const std::string& script) { return SpecFor({"/bin/sh", "-c", script}); }

SandboxSpec Probe(std::vector<std::string> arguments) {
  std::string probe = ISOLATION_PROBE;
  std::size_t slash = probe.rfind('/');
  arguments.insert(arguments.begin(), "/var/task" + probe.substr(slash));
  SandboxSpec spec = SpecFor(std::move(arguments));
  spec.mounts = {{probe.substr(0, slash), "/var/task", {}}};
  return spec;
}

// A folder with files for a mount.
std::string Folder(const std::string& name, const std::map<std::string, std::string>& files) {
  static int counter = 0;
  std::string path = fmt::format("/tmp/samovar-test-mount-{}-{}-{}", ::getpid(), name, ++counter);
  std::filesystem::create_directories(path);
  for (const auto& [file, text] : files) std::ofstream(path + "/" + file) << text;
  return path;
}

TEST(Sandbox, RunsAProgramAndTellsItsOutputAndExitStatus) {
  struct Case {
    const char* script;
    const char* output;
    int code;
    int signal;
  };
  static const Case kCases[] = {
      {"echo hello; exit 7", "hello\n", 7, 0},
      {"id -u; id -g; id -un", "993\n990\nsbx_user1051\n", 0, 0},
      {"echo to stderr >&2", "to stderr\n", 0, 0},
      {"echo by name > /dev/stdout; echo and error > /dev/stderr", "by name\nand error\n", 0, 0},
      {"kill -9 $$", "", 0, SIGKILL},
      {"kill -TERM $$; echo no", "", 0, SIGTERM},
      {"hostname; pwd; ls /tmp | wc -l", "sandbox\n/tmp\n0\n", 0, 0},
      {"cat /proc/self/cgroup > /dev/null && ls /sys 2>/dev/null; exit 0", "", 0, 0},
      {"sleep 1000 & exit 3", "", 3, 0}};
  RunInServer([](SandboxHost& host) -> Task<void> {
    EXPECT_EQ(host.Isolation(), "full");
    for (const auto& c : kCases) {
      auto outcome = co_await RunToEnd(host, Shell(c.script));
      EXPECT_TRUE(outcome) << c.script << ": " << outcome.error().message;
      if (!outcome) continue;
      EXPECT_EQ(outcome->output, c.output) << c.script;
      EXPECT_EQ(outcome->exit.code, c.code) << c.script;
      EXPECT_EQ(outcome->exit.signal, c.signal) << c.script;
      EXPECT_FALSE(outcome->exit.out_of_memory) << c.script;
    }
  });
}

TEST(Sandbox, AProgramThatAbortsOrKillsItselfEndsByThatSignal) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    for (auto [attempt, signal] :
         {std::pair("abort", SIGABRT), std::pair("kill-itself", SIGKILL)}) {
      auto outcome = co_await RunToEnd(host, Probe({attempt}));
      EXPECT_TRUE(outcome);
      if (outcome) EXPECT_EQ(outcome->exit.signal, signal) << attempt;
    }
  });
}

TEST(Sandbox, TellsWhatIsWrongWithASpec) {
  using Change = void (*)(SandboxSpec&);
  static const std::pair<Change, const char*> kCases[] = {
      {[](SandboxSpec& s) { s.argv = {"/no/such/program"}; }, "cannot run /no/such/program"},
      {[](SandboxSpec& s) { s.argv = {"sh"}; }, "argv"},
      {[](SandboxSpec& s) { s.argv.clear(); }, "argv"},
      {[](SandboxSpec& s) { s.cwd = "/no/folder"; }, "cwd /no/folder"},
      {[](SandboxSpec& s) { s.id = "A_B"; }, "id"},
      {[](SandboxSpec& s) { s.mounts = {{"/no/source", "/var/task", {}}}; }, "/no/source"},
      {[](SandboxSpec& s) { s.mounts = {{"/usr", "/opt", {"/no/layer"}}}; }, "/no/layer"},
      {[](SandboxSpec& s) { s.mounts = {{"/usr", "/proc/x", {}}}; }, "target /proc/x"},
      {[](SandboxSpec& s) { s.mounts = {{"/usr", "/var/../etc", {}}}; }, "target /var/../etc"},
      {[](SandboxSpec& s) { s.mounts = {{"/usr", "/usr/no/such", {}}}; }, "target /usr/no/such"},
      {[](SandboxSpec& s) { s.memory = Bytes{}; }, "memory"},
      {[](SandboxSpec& s) { s.cpus = 0; }, "cpus"}};
  RunInServer([](SandboxHost& host) -> Task<void> {
    for (const auto& [change, message] : kCases) {
      SandboxSpec spec = Shell("exit 0");
      change(spec);
      auto made = co_await host.Create(std::move(spec));
      EXPECT_FALSE(made) << message;
      if (made) continue;
      EXPECT_EQ(made.error().code, Code::kInvalid) << made.error().message;
      EXPECT_THAT(made.error().message, HasSubstr(message));
    }
    // And the spawner goes on.
    auto outcome = co_await RunToEnd(host, Shell("echo on"));
    EXPECT_TRUE(outcome && outcome->output == "on\n");
  });
}

TEST(Sandbox, ShowsMountsReadOnlyAndLayersWithTheLaterOnTop) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    std::string code = Folder("code", {{"a", "code"}});
    std::string low = Folder("low", {{"same", "low"}, {"low", "low"}});
    std::string high = Folder("high:,\\x", {{"same", "high"}});
    SandboxSpec spec = Shell(
        "cat /var/task/a /opt/same /opt/low /root/.deep/er/a /usr/local/x/a;"
        "for d in /var/task /opt /root/.deep/er / /usr /etc /dev /usr/local /var;"
        "do touch $d/x 2>/dev/null && echo wrote $d; done; "
        "mkdir /dev/shm/ok /tmp/ok && echo; echo $FROM_ENV");
    spec.mounts = {{code, "/var/task", {}},
                   {low, "/opt", {high}},
                   {code, "/root/.deep/er", {}},
                   {code, "/usr/local/x", {}}};
    spec.env.push_back("FROM_ENV=" + std::string(100'000, 'e'));
    auto outcome = co_await RunToEnd(host, std::move(spec));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if (outcome) {
      EXPECT_EQ(outcome->output, "codehighlowcodecode\n" + std::string(100'000, 'e') + "\n");
    }
    for (const auto& path : {code, low, high}) std::filesystem::remove_all(path);
  });
}

TEST(Sandbox, GivesAChannelAtDescriptor3AndTheRuntimeApiInsideOnly) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = Probe({"hello"});
    spec.channel = true;
    auto made = co_await host.Create(std::move(spec));
    EXPECT_TRUE(made) << made.error().message;
    if (!made) co_return;
    EXPECT_EQ(co_await ReadAll((*made)->TakeChannel()), "h");
    EXPECT_EQ(co_await ReadAll((*made)->TakeLog()), "open\n");

    // The listener is ours to accept from, and connections come from inside.
    spec = Probe({"connect", "127.0.0.1:9001"});
    spec.runtime_api = true;
    made = co_await host.Create(std::move(spec));
    EXPECT_TRUE(made) << made.error().message;
    if (!made) co_return;
    Fd listener = (*made)->TakeRuntimeApi();
    asio::posix::basic_stream_descriptor<Executor> wait(co_await asio::this_coro::executor,
                                                        listener.Get());
    co_await wait.async_wait(asio::posix::descriptor_base::wait_read,
                             asio::use_awaitable_t<Executor>());
    Fd connection(::accept(wait.release(), nullptr, nullptr));
    EXPECT_TRUE(connection);
    EXPECT_EQ(::send(connection.Get(), "!", 1, 0), 1);
    EXPECT_EQ(co_await ReadAll((*made)->TakeLog()), "open\n");
  });
}

TEST(Sandbox, WithoutAChannelHasNoDescriptorBeyondTheStandardOnes) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    auto outcome = co_await RunToEnd(host, Probe({"extra-descriptors"}));
    EXPECT_TRUE(outcome);
    if (outcome) EXPECT_THAT(outcome->output, HasSubstr("shut"));
  });
}

TEST(Sandbox, KillEndsTheWholeTree) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = Shell("for i in 1 2 3 4 5; do setsid sleep 1000 & done; echo up; wait");
    auto made = co_await host.Create(std::move(spec));
    EXPECT_TRUE(made) << made.error().message;
    if (!made) co_return;
    asio::posix::basic_stream_descriptor<Executor> log(co_await asio::this_coro::executor,
                                                       (*made)->TakeLog().Release());
    char up[3];
    co_await asio::async_read(log, asio::buffer(up), asio::use_awaitable_t<Executor>());
    (*made)->Kill();
    auto exit = co_await (*made)->WaitExit();
    EXPECT_EQ(exit.signal, SIGKILL);
    EXPECT_FALSE(exit.out_of_memory);
    // All that held the log's other end are gone.
    char byte;
    EXPECT_EQ(::read(log.native_handle(), &byte, 1), 0);
    // Again, from two sides at once: many may wait, and late.
    EXPECT_EQ((co_await (*made)->WaitExit()).signal, SIGKILL);
  });
}

TEST(Sandbox, DestroyingTheHandleKills) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    auto made = co_await host.Create(Shell("sleep 1000"));
    EXPECT_TRUE(made);
    if (!made) co_return;
    Fd log = (*made)->TakeLog();
    made->reset();
    EXPECT_EQ(co_await ReadAll(std::move(log)), "");  // ends, as all writers are dead
  });
}

TEST(Sandbox, AFrozenTreeStandsStillAndCanStillBeKilled) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    auto made = co_await host.Create(Shell("while :; do echo x; sleep 0.01; done"));
    EXPECT_TRUE(made);
    if (!made) co_return;
    asio::posix::basic_stream_descriptor<Executor> log(co_await asio::this_coro::executor,
                                                       (*made)->TakeLog().Release());
    char text[2];
    co_await asio::async_read(log, asio::buffer(text), asio::use_awaitable_t<Executor>());
    (*made)->Freeze(true);
    // Orders are carried out in turn: this sandbox is made after the freeze.
    auto other = co_await RunToEnd(host, Shell("exit 0"));
    EXPECT_TRUE(other);
    char drain[65536];
    while (::read(log.native_handle(), drain, sizeof drain) > 0) {
    }
    other = co_await RunToEnd(host, Shell("sleep 0.3"));
    EXPECT_LT(::read(log.native_handle(), drain, sizeof drain), 0) << "it wrote while frozen";
    (*made)->Freeze(false);
    co_await asio::async_read(log, asio::buffer(text), asio::use_awaitable_t<Executor>());
    (*made)->Freeze(true);
    (*made)->Kill();
    EXPECT_EQ((co_await (*made)->WaitExit()).signal, SIGKILL);
  });
}

// CPU time that the children of a sandbox's process 1 used can be read from inside by `times`.
TEST(Sandbox, TheCpuLimitHoldsOnceItIsInForce) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = Shell(
        "read x < /proc/uptime; a=${x%% *};"
        "timeout 1.5 sh -c 'while :; do :; done'; times");
    spec.cpus = 0.1;
    auto made = co_await host.Create(std::move(spec));
    EXPECT_TRUE(made);
    if (!made) co_return;
    (*made)->UseCpuLimit();
    std::string output = co_await ReadAll((*made)->TakeLog());
    // "0m0.004s 0m0.002s\n0m0.150s 0m0.001s": user and system time of the children.
    auto at = output.find('\n');
    EXPECT_NE(at, std::string::npos) << output;
    double seconds = std::strtod(output.c_str() + output.find('m', at) + 1, nullptr);
    EXPECT_GT(seconds, 0.01) << output;
    EXPECT_LT(seconds, 0.5) << output;
  });
}

TEST(Sandbox, FiftyAtOnceAreMadeAndGone) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    auto start = std::chrono::steady_clock::now();
    std::vector<std::unique_ptr<Sandbox>> all;
    for (int i = 0; i < 50; ++i) {
      auto made = co_await host.Create(Shell("sleep 1000"));
      EXPECT_TRUE(made) << made.error().message;
      if (made) all.push_back(std::move(*made));
    }
    auto made_in = std::chrono::steady_clock::now() - start;
    for (auto& sandbox : all) sandbox->Kill();
    for (auto& sandbox : all) EXPECT_EQ((co_await sandbox->WaitExit()).signal, SIGKILL);
    std::printf("50 creations: %.1f ms each\n",
                std::chrono::duration<double, std::milli>(made_in).count() / 50);
  });
}

}  // namespace
}  // namespace samovar
