#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "os/cgroup.h"
#include "os/linux.h"
#include "os/message_socket.h"
#include "os/packet_socket.h"
#include "os/priority.h"
#include "os/seccomp_filter.h"

namespace samovar {
namespace {

TEST(PacketSocket, CarriesBodiesOfAnySizeWithDescriptors) {
  auto pair = PacketSocketPair();
  ASSERT_TRUE(pair);
  for (std::size_t size : {0ul, 1ul, 32ul << 10, (32ul << 10) + 1, 1ul << 20}) {
    std::string body(size, 'b');
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    Fd read_end(pipe[0]), write_end(pipe[1]);
    int fds[] = {write_end.Get()};
    auto sent = SendPacket(pair->first.Get(), body, fds);
    ASSERT_TRUE(sent && *sent) << size;
    auto got = ReceivePacket(pair->second.Get());
    ASSERT_TRUE(got && *got) << size;
    EXPECT_EQ((*got)->body, body);
    ASSERT_EQ((*got)->fds.size(), 1u);
    EXPECT_EQ(::write((*got)->fds[0].Get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(::read(read_end.Get(), &byte, 1), 1);
    EXPECT_EQ(::fcntl((*got)->fds[0].Get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST(PacketSocket, TellsNothingYetFromTheEndAndRefusesTooMuch) {
  auto pair = PacketSocketPair();
  ASSERT_TRUE(pair);
  auto got = ReceivePacket(pair->second.Get());
  ASSERT_TRUE(got);
  EXPECT_FALSE(*got);
  auto sent = SendPacket(pair->first.Get(), std::string(kMaxPacketBody + 1, 'x'));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::kTooLarge);
  pair->first = Fd();
  got = ReceivePacket(pair->second.Get());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kUnavailable);
  sent = SendPacket(pair->second.Get(), "x");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::kUnavailable);
}

TEST(PacketSocket, SaysWhenItsBufferIsFull) {
  auto pair = PacketSocketPair();
  ASSERT_TRUE(pair);
  std::string body(30'000, 'x');
  int sent = 0;
  for (;; ++sent) {
    auto result = SendPacket(pair->first.Get(), body);
    ASSERT_TRUE(result);
    if (!*result) break;
    ASSERT_LT(sent, 100'000);
  }
  for (int i = 0; i < sent; ++i) {
    auto got = ReceivePacket(pair->second.Get());
    ASSERT_TRUE(got && *got);
    EXPECT_EQ((*got)->body.size(), body.size());
  }
}

TEST(PacketSocket, RefusesAPacketOfAnotherForm) {
  auto pair = PacketSocketPair();
  ASSERT_TRUE(pair);
  for (std::string_view text : {"X", "M", "Mbody"}) {
    ASSERT_GT(::send(pair->first.Get(), text.data(), text.size(), 0), 0);
    EXPECT_FALSE(ReceivePacket(pair->second.Get())) << text;
  }
}

TEST(MessageSocket, TellsWhoSentAMessageAndDropsItsDescriptors) {
  auto pair = PacketSocketPair();
  ASSERT_TRUE(pair);
  ASSERT_TRUE(NameSenders(pair->first.Get()));
  pid_t child = ::fork();
  if (child == 0) {
    int fd = 0;
    auto sent = SendMessage(pair->second.Get(), "I", std::span(&fd, 1));
    ::_exit(sent && *sent ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  int before = ::dup(0);
  auto got = ReceiveMessage(pair->first.Get());
  ASSERT_TRUE(got && *got);
  EXPECT_EQ((*got)->body, "I");
  EXPECT_EQ((*got)->pid, child);
  EXPECT_EQ((*got)->uid, ::getuid());
  int after = ::dup(0);
  EXPECT_EQ(after, before + 1) << "a descriptor came in";
  ::close(before);
  ::close(after);
  got = ReceiveMessage(pair->first.Get());
  ASSERT_TRUE(got);
  EXPECT_FALSE(*got);
  pair->second = Fd();
  EXPECT_FALSE(ReceiveMessage(pair->first.Get()));
}

TEST(Linux, APidfdTellsTheEnd) {
  int pidfd = -1;
  pid_t child = CloneProcess(0, &pidfd);
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  Fd end(pidfd);
  EXPECT_FALSE(PidfdEnded(pidfd));
  EXPECT_EQ(PidfdExitStatus(pidfd), std::nullopt);
  ASSERT_EQ(PidfdSendSignal(pidfd, SIGUSR1), 0);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(PidfdEnded(pidfd));
  // Nothing before Linux 6.15.
  EXPECT_EQ(PidfdExitStatus(pidfd).value_or(status), status);
}

// Two threads that never wait, on one processor.
TEST(Priority, LongWorkWithTurnsLetsOthersIn) {
  cpu_set_t all;
  cpu_set_t one;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(all), &all), 0);
  int first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> rounds = 0;
  int policy = -1;
  std::jthread other([&] {
    ::sched_setaffinity(0, sizeof(one), &one);
    while (!done) ++rounds;
  });
  std::jthread work([&] {
    ::sched_setaffinity(0, sizeof(one), &one);
    RunInTurns();
    policy = ::sched_getscheduler(0);
    Turn turn;
    for (int times = 0; times < 50; ++times) {
      const std::uint64_t before = rounds;
      while (rounds == before) turn.Check();
    }
    done = true;
  });
  work.join();
  EXPECT_EQ(policy, SCHED_BATCH);
}

TEST(Cgroup, ReadsMemoryStatOfBothVersions) {
  auto one = ParseMemoryStat(
      "cache 5\nrss 1\nshmem 2\ntotal_cache 50\ntotal_rss 4096\ntotal_shmem 8192\n");
  EXPECT_EQ(one.anonymous.count, 4096u);
  EXPECT_EQ(one.shared.count, 8192u);
  auto two = ParseMemoryStat("anon 100\nfile 7\nkernel 9\nshmem 200\nanon_thp 3\n");
  EXPECT_EQ(two.anonymous.count, 100u);
  EXPECT_EQ(two.shared.count, 200u);
  EXPECT_EQ(ParseMemoryStat("").anonymous.count, 0u);
}

TEST(Linux, NumberAfterFindsTheLineHeadOnly) {
  EXPECT_EQ(NumberAfter("oom_kill_disable 0\nunder_oom 1\noom_kill 3\n", "oom_kill "), 3u);
  EXPECT_EQ(NumberAfter("xoom_kill 3\n", "oom_kill "), 0u);
  EXPECT_EQ(NumberAfter("42\n", ""), 42u);
}

// errno that a call gets behind the filter, in a child; 0 where it works, -signal where it is
// ended.
int BehindFilter(const SeccompFilter& filter, long number, long a = 0, long b = 0, long c = 0) {
  pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!filter.Install()) ::_exit(126);
    errno = 0;
    long answer = ::syscall(number, a, b, c, 0, 0, 0);
    ::_exit(answer < 0 ? errno : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

struct Case {
  const char* what;
  long number, a, b, c;
  int answer;
};

TEST(SeccompFilter, AllowsRefusesAndEndsAsListed) {
  auto filter = SeccompFilter::Build();
  ASSERT_TRUE(filter) << filter.error().message;
  const Case kCases[] = {
      {"getpid", SYS_getpid, 0, 0, 0, 0},
      {"tcp", SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0},
      {"udp6", SYS_socket, AF_INET6, SOCK_DGRAM, 17, 0},
      {"unix seqpacket", SYS_socket, AF_UNIX, SOCK_SEQPACKET, 0, 0},
      {"rtnetlink", SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0, 0},
      {"netfilter", SYS_socket, AF_NETLINK, SOCK_RAW, 12, EPERM},
      {"raw", SYS_socket, AF_INET, SOCK_RAW, 1, EPERM},
      {"packet", SYS_socket, AF_PACKET, SOCK_RAW, 0, EPERM},
      {"vsock", SYS_socket, 40, SOCK_STREAM, 0, EPERM},
      {"family 0", SYS_socket, 0, SOCK_STREAM, 0, EPERM},
      {"sctp", SYS_socket, AF_INET, SOCK_STREAM, 132, EPERM},
      {"unshare", SYS_unshare, 0, 0, 0, EPERM},
      {"mount", SYS_mount, 0, 0, 0, EPERM},
      {"ptrace", SYS_ptrace, 0, 0, 0, EPERM},
      {"bpf", SYS_bpf, 0, 0, 0, EPERM},
      {"clone of a user namespace", SYS_clone, 0x10000000, 0, 0, EPERM},
      {"clone3", SYS_clone3, 0, 0, 0, ENOSYS},
      {"an unknown call", 4242, 0, 0, 0, ENOSYS},
      {"kexec_load", SYS_kexec_load, 0, 0, 0, -SIGSYS},
      {"init_module", SYS_init_module, 0, 0, 0, -SIGSYS}};
  for (const auto& c : kCases) {
    EXPECT_EQ(BehindFilter(*filter, c.number, c.a, c.b, c.c), c.answer) << c.what;
  }
}

// Calls with bad descriptors: what the filter lets through gets EBADF from the kernel.
TEST(SeccompFilter, LetsTemplatesMakeTheNamespacesOfACloneAndNothingThatFollowsFromThem) {
  auto filter = SeccompFilter::BuildForTemplates();
  ASSERT_TRUE(filter) << filter.error().message;
  const long all = static_cast<long>(kCloneNamespaces);
  constexpr long kHigh = 1L << 32;
  const Case kCases[] = {
      {"a clone's namespaces", SYS_unshare, all, 0, 0, 0},
      {"fewer", SYS_unshare, all & ~0x40000000, 0, 0, EPERM},
      {"a user namespace alone", SYS_unshare, 0x10000000, 0, 0, EPERM},
      {"a cgroup namespace too", SYS_unshare, all | 0x02000000, 0, 0, EPERM},
      {"files", SYS_unshare, 0x400, 0, 0, EPERM},
      {"with high bits", SYS_unshare, all | kHigh, 0, 0, EPERM},
      {"clone of a user namespace", SYS_clone, 0x10000000, 0, 0, EPERM},
      {"mount", SYS_mount, 0, 0, 0, EPERM},
      {"setns", SYS_setns, 0, 0, 0, EPERM},
      {"tcp", SYS_socket, AF_INET, SOCK_STREAM, 0, 0},
      {"rtnetlink", SYS_socket, AF_NETLINK, SOCK_RAW, 0, EPERM},
      {"rtnetlink with high bits", SYS_socket, AF_NETLINK | kHigh, SOCK_RAW, 0, EPERM},
      {"TCP_NODELAY", SYS_setsockopt, -1, 6, 1, EBADF},
      {"TCP_REPAIR", SYS_setsockopt, -1, 6, 19, EPERM},
      {"IP_TOS", SYS_setsockopt, -1, 0, 1, EBADF},
      {"IP_XFRM_POLICY", SYS_setsockopt, -1, 0, 17, EPERM},
      {"IPT_SO_SET_REPLACE", SYS_setsockopt, -1, 0, 64, EPERM},
      {"IPT_SO_SET_REPLACE with high bits", SYS_setsockopt, -1, kHigh, 64 | kHigh, EPERM},
      {"IP_VS_SO_SET_ADD", SYS_setsockopt, -1, 0, 1154, EPERM},
      {"IPT_SO_GET_ENTRIES", SYS_getsockopt, -1, 0, 65, EPERM},
      {"IPV6_V6ONLY", SYS_setsockopt, -1, 41, 26, EBADF},
      {"IPV6_TCLASS", SYS_setsockopt, -1, 41, 67, EBADF},
      {"IP6T_SO_SET_REPLACE", SYS_setsockopt, -1, 41, 64, EPERM},
      {"IPV6_XFRM_POLICY", SYS_setsockopt, -1, 41, 35, EPERM},
      {"SO_REUSEADDR", SYS_setsockopt, -1, 1, 2, EBADF},
      {"FIONREAD", SYS_ioctl, -1, 0x541b, 0, EBADF},
      {"SIOCSIFFLAGS", SYS_ioctl, -1, 0x8914, 0, EBADF},
      {"SIOCGIFADDR", SYS_ioctl, -1, 0x8915, 0, EBADF},
      {"SIOCSIFADDR", SYS_ioctl, -1, 0x8916, 0, EPERM},
      {"SIOCBRADDBR", SYS_ioctl, -1, 0x89a0, 0, EPERM},
      {"SIOCETHTOOL", SYS_ioctl, -1, 0x8946, 0, EPERM},
      {"SIOCADDTUNNEL", SYS_ioctl, -1, 0x89f1 | kHigh, 0, EPERM}};
  for (const auto& c : kCases) {
    EXPECT_EQ(BehindFilter(*filter, c.number, c.a, c.b, c.c), c.answer) << c.what;
  }
}

}  // namespace
}  // namespace samovar
