// Attempts to get out of a sandbox, or to hurt who is outside. All must fail.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fstream>
#include <thread>

#include "sandbox/sandbox_harness.h"

namespace samovar {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string ProbePath() {
  std::string probe = ISOLATION_PROBE;
  return "/var/task" + probe.substr(probe.rfind('/'));
}

SandboxSpec Probe(std::vector<std::string> arguments) {
  std::string probe = ISOLATION_PROBE;
  arguments.insert(arguments.begin(), ProbePath());
  SandboxSpec spec = SpecFor(std::move(arguments));
  spec.mounts = {{probe.substr(0, probe.rfind('/')), "/var/task", {}}};
  return spec;
}

struct Attempt {
  std::vector<std::string> arguments;
  int signal = 0;  // that the filter ends it with, for what no program does by chance
};

TEST(Isolation, NoAttemptSucceeds) {
  static const std::vector<Attempt> kAttempts = {{{"read", "/etc/shadow"}},
                                                 {{"read", "/root"}},
                                                 {{"read", "/root/.bashrc"}},
                                                 {{"read", "/work"}},
                                                 {{"read", "/sys/kernel"}},
                                                 {{"read", "/proc/kcore"}},
                                                 {{"read", "/proc/kmsg"}},
                                                 {{"read", "/proc/timer_list"}},
                                                 {{"read", "/dev/mem"}},
                                                 {{"read", "/dev/vda"}},
                                                 {{"read", "/mnt"}},
                                                 {{"write", "/proc/sysrq-trigger"}},
                                                 {{"write", "/proc/sys/kernel/core_pattern"}},
                                                 {{"write", "/proc/sys/vm/drop_caches"}},
                                                 {{"write", "/proc/self/oom_score_adj_x"}},
                                                 {{"write", "/var/task/new"}},
                                                 {{"write", "/usr/bin/new"}},
                                                 {{"write", "/etc/passwd"}},
                                                 {{"write", "/new"}},
                                                 {{"write", "/dev/new"}},
                                                 {{"see-others"}},
                                                 {{"signal-all"}},
                                                 {{"kill-init"}},
                                                 {{"trace-init"}},
                                                 {{"read-init-memory"}},
                                                 {{"open-init-files"}},
                                                 {{"mount"}},
                                                 {{"remount", "/usr"}},
                                                 {{"unmount", "/var/task"}},
                                                 {{"unshare-user"}},
                                                 {{"unshare-mounts"}},
                                                 {{"clone-user"}},
                                                 {{"clone3"}},
                                                 {{"setns"}},
                                                 {{"raw-socket"}},
                                                 {{"raw-socket-high-bits"}},
                                                 {{"packet-socket"}},
                                                 {{"vsock"}},
                                                 {{"alg-socket"}},
                                                 {{"netfilter-socket"}},
                                                 {{"audit-socket"}},
                                                 {{"sctp-socket"}},
                                                 {{"mknod"}},
                                                 {{"chroot"}},
                                                 {{"become-root"}},
                                                 {{"make-setuid"}},
                                                 {{"perf"}},
                                                 {{"bpf"}},
                                                 {{"keyring"}},
                                                 {{"userfaultfd"}},
                                                 {{"io-uring"}},
                                                 {{"open-by-handle"}},
                                                 {{"new-mount-api"}},
                                                 {{"sethostname"}},
                                                 {{"set-clock"}},
                                                 {{"syslog"}},
                                                 {{"raise-nice"}},
                                                 {{"raise-limit"}},
                                                 {{"type-on-terminal"}},
                                                 {{"list-mounts", "sysfs"}},
                                                 {{"swapon"}, SIGSYS},
                                                 {{"reboot"}, SIGSYS},
                                                 {{"load-module"}, SIGSYS}};
  RunInServer([](SandboxHost& host) -> Task<void> {
    for (const auto& attempt : kAttempts) {
      auto outcome = co_await RunToEnd(host, Probe(attempt.arguments));
      std::string name = fmt::format("{}", fmt::join(attempt.arguments, " "));
      EXPECT_TRUE(outcome) << name << ": " << outcome.error().message;
      if (!outcome) continue;
      EXPECT_EQ(outcome->exit.signal, attempt.signal) << name << ": " << outcome->output;
      EXPECT_EQ(outcome->exit.code, 0) << name;
      EXPECT_THAT(outcome->output, Not(HasSubstr("open"))) << name;
      if (attempt.signal == 0) EXPECT_THAT(outcome->output, HasSubstr("shut")) << name;
    }
  });
}

// The same program outside shows that the attempts are real ones.
TEST(Isolation, TheSameAttemptsSucceedOutside) {
  for (const char* attempt : {"read /etc/shadow", "read /root", "see-others x", "unshare-mounts x",
                              "raw-socket x", "packet-socket x"}) {
    std::string command = fmt::format("{} {}", ISOLATION_PROBE, attempt);
    FILE* pipe = ::popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    char line[256] = {};
    (void)!std::fgets(line, sizeof line, pipe);
    ::pclose(pipe);
    EXPECT_STREQ(line, "open\n") << attempt;
  }
}

TEST(Isolation, AForkBombStopsAtTheLimitAndTheHostGoesOn) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = Probe({"fork-bomb", "5000"});
    spec.max_processes = 100;
    auto outcome = co_await RunToEnd(host, std::move(spec));
    EXPECT_TRUE(outcome);
    if (outcome) EXPECT_THAT(outcome->output, HasSubstr("99 processes; shut"));
    auto other = co_await RunToEnd(host, SpecFor({"/bin/echo", "on"}));
    EXPECT_TRUE(other && other->output == "on\n");
  });
}

TEST(Isolation, AnUnboundedForkBombDiesWithItsSandbox) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec spec = SpecFor({"/bin/sh", "-c", "(b() { b | b & }; b) & exec sleep 1000"});
    spec.max_processes = 200;
    auto made = co_await host.Create(std::move(spec));
    EXPECT_TRUE(made);
    if (!made) co_return;
    auto other = co_await RunToEnd(host, SpecFor({"/bin/sleep", "0.3"}));
    EXPECT_TRUE(other);
    (*made)->Kill();
    EXPECT_EQ((co_await (*made)->WaitExit()).signal, SIGKILL);
  });
}

Fd ListenAt(std::uint32_t address, std::uint16_t* port) {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(address);
  ::bind(listener.Get(), reinterpret_cast<sockaddr*>(&at), sizeof at);
  ::listen(listener.Get(), 8);
  socklen_t size = sizeof at;
  ::getsockname(listener.Get(), reinterpret_cast<sockaddr*>(&at), &size);
  *port = ntohs(at.sin_port);
  return listener;
}

TEST(Isolation, TheHostsSocketsCannotBeReached) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    std::uint16_t port = 0;
    Fd listener = ListenAt(INADDR_ANY, &port);
    Fd abstract(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::string text = fmt::format("samovar-test-{}", ::getpid());
    std::memcpy(name.sun_path + 1, text.data(), text.size());
    auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    EXPECT_EQ(::bind(abstract.Get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(::listen(abstract.Get(), 8), 0);
    for (const auto& arguments :
         {std::vector<std::string>{"connect", fmt::format("127.0.0.1:{}", port)},
          {"connect", "10.255.255.53:53"},
          {"connect-abstract", text}}) {
      auto outcome = co_await RunToEnd(host, Probe(arguments));
      EXPECT_TRUE(outcome);
      if (outcome) EXPECT_THAT(outcome->output, HasSubstr("shut")) << arguments[0];
    }
  });
}

// An address of this host that others could reach it at, or "".
std::string OwnAddress() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(0xc0000201);  // 192.0.2.1; nothing is sent
  if (::connect(socket.Get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return "";
  socklen_t size = sizeof to;
  ::getsockname(socket.Get(), reinterpret_cast<sockaddr*>(&to), &size);
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &to.sin_addr, text, sizeof text);
}

TEST(Isolation, EgressHasAWayOutAndNoneToTheHostItself) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    std::uint16_t port = 0;
    Fd listener = ListenAt(INADDR_ANY, &port);
    // Greets whoever comes, so that a "shut" means that nobody could.
    std::thread greeter([fd = listener.Get()] {
      for (;;) {
        Fd guest(::accept(fd, nullptr, nullptr));
        if (!guest) return;
        (void)::send(guest.Get(), "!", 1, MSG_NOSIGNAL);
      }
    });
    SandboxSpec spec = SpecFor({"/bin/cat", "/proc/net/route", "/etc/resolv.conf"});
    spec.network = Network::kEgress;
    auto outcome = co_await RunToEnd(host, std::move(spec));
    EXPECT_TRUE(outcome) << outcome.error().message;
    if (outcome) EXPECT_THAT(outcome->output, HasSubstr("tap0\t00000000\t0202000A"));
    if (outcome) EXPECT_THAT(outcome->output, HasSubstr("nameserver"));
    std::vector<std::string> addresses = {"127.0.0.1", "10.0.2.2", "10.0.2.3", "0.0.0.0"};
    if (!OwnAddress().empty()) addresses.push_back(OwnAddress());
    for (const auto& address : addresses) {
      spec = Probe({"connect", fmt::format("{}:{}", address, port)});
      spec.network = Network::kEgress;
      outcome = co_await RunToEnd(host, std::move(spec));
      EXPECT_TRUE(outcome) << outcome.error().message;
      if (outcome) EXPECT_THAT(outcome->output, HasSubstr("shut")) << address;
    }
    ::shutdown(listener.Get(), SHUT_RDWR);
    greeter.join();
  });
}

// Another sandbox is as far away as the host: its process, its /tmp, its Runtime API.
TEST(Isolation, OtherSandboxesCannotBeReached) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    SandboxSpec victim = SpecFor({"/bin/sh", "-c", "echo secret > /tmp/mine; exec sleep 1000"});
    victim.runtime_api = true;
    auto made = co_await host.Create(std::move(victim));
    EXPECT_TRUE(made);
    if (!made) co_return;
    for (const auto& arguments : {std::vector<std::string>{"read", "/tmp/mine"},
                                  {"connect", "127.0.0.1:9001"},
                                  {"signal-all"},
                                  {"see-others"}}) {
      auto outcome = co_await RunToEnd(host, Probe(arguments));
      EXPECT_TRUE(outcome);
      if (outcome) EXPECT_THAT(outcome->output, HasSubstr("shut")) << arguments[0];
    }
    (*made)->Kill();
    EXPECT_EQ((co_await (*made)->WaitExit()).signal, SIGKILL);
  });
}

TEST(Isolation, SetUidProgramsGiveNothing) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    // su, mount and the like are set-uid root on the host.
    auto outcome = co_await RunToEnd(
        host, SpecFor({"/bin/sh", "-c",
                       "find /usr/bin -perm -4000 | head -1 | grep -q . && "
                       "umount /var/task 2>&1; su -c id 2>&1; id -u; "
                       "grep -E 'Cap(Eff|Prm|Bnd)|NoNewPrivs' /proc/self/status"}));
    EXPECT_TRUE(outcome);
    if (!outcome) co_return;
    EXPECT_THAT(outcome->output, Not(HasSubstr("uid=0")));
    EXPECT_THAT(outcome->output, HasSubstr("993\nCapPrm:\t0000000000000000\nCapEff:\t"
                                           "0000000000000000\nCapBnd:\t0000000000000000\n"
                                           "NoNewPrivs:\t1\n"));
  });
}

// What runtimes need works behind the filter.
TEST(Isolation, RealProgramsRun) {
  RunInServer([](SandboxHost& host) -> Task<void> {
    static const std::vector<std::vector<std::string>> kPrograms = {
        {"/usr/bin/python3", "-c",
         "import threading, subprocess, socket, tempfile, multiprocessing as m, ssl, sqlite3\n"
         "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
         "assert subprocess.check_output(['/bin/echo', 'x']) == b'x\\n'\n"
         "assert socket.gethostbyname('localhost') == '127.0.0.1'\n"
         "s = m.Semaphore(1); v = m.Value('i', 3)\n"
         "tempfile.NamedTemporaryFile().write(b'x')\n"
         "socket.create_server(('127.0.0.1', 0)).close()\n"
         "print('ok')"},
        {"/usr/bin/node", "-e",
         "const {Worker} = require('worker_threads');"
         "const w = new Worker('process.exit(0)', {eval: true});"
         "w.on('exit', () => require('fs').readFile('/etc/hosts', () => "
         "require('dns').lookup('localhost', (e) => console.log(e || 'ok'))));"},
        {"/bin/sh", "-c", "mkfifo /tmp/f && (echo ok > /tmp/f & cat /tmp/f)"}};
    for (const auto& argv : kPrograms) {
      if (!std::filesystem::exists(argv[0])) {
        std::printf("%s is not on this host\n", argv[0].c_str());
        continue;
      }
      SandboxSpec spec = SpecFor(argv);
      spec.memory = Bytes::MiB(512);
      auto outcome = co_await RunToEnd(host, std::move(spec));
      EXPECT_TRUE(outcome) << outcome.error().message;
      if (outcome) EXPECT_EQ(outcome->output, "ok\n") << argv[0];
    }
  });
}

}  // namespace
}  // namespace samovar
