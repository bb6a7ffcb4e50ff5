#include "os/network_guard.h"

#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace samovar {
namespace {

constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

// Straight-line tests; each either answers or falls to the next instruction.
class Program {
 public:
  void LoadCall() { Add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)); }
  void LoadArgument(unsigned at) {  // its low half: the hosts that we know are little-endian
    Add(BPF_LD | BPF_W | BPF_ABS,
        static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 8 * at));
  }
  void AnswerIfEqual(std::uint32_t value, std::uint32_t answer) {
    Jump(BPF_JEQ, value, 0, 1);
    Answer(answer);
  }
  void AnswerIfWithin(std::uint32_t least, std::uint32_t most, std::uint32_t answer) {
    Jump(BPF_JGE, least, 0, 2);
    Jump(BPF_JGT, most, 1, 0);
    Answer(answer);
  }
  void Answer(std::uint32_t answer) { Add(BPF_RET | BPF_K, answer); }
  // What `body` adds runs only where the accumulator equals `value`.
  template <class Body>
  void Where(std::uint32_t value, Body body) {
    std::size_t jump = code_.size();
    Jump(BPF_JEQ, value, 0, 0);
    body();
    code_[jump].jf = static_cast<std::uint8_t>(code_.size() - jump - 1);
  }
  std::vector<sock_filter> Take() { return std::move(code_); }

 private:
  void Add(int code, std::uint32_t k) {
    code_.push_back({static_cast<std::uint16_t>(code), 0, 0, k});
  }
  void Jump(int test, std::uint32_t k, std::uint8_t yes, std::uint8_t no) {
    code_.push_back({static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), yes, no, k});
  }

  std::vector<sock_filter> code_;
};

// Of <netinet/in.h> and the netfilter headers, which clash with each other.
constexpr std::uint32_t kIpsecPolicy = 16, kXfrmPolicy = 17, kIpsecPolicy6 = 34, kXfrmPolicy6 = 35;
constexpr std::uint32_t kTables = 64;  // and all above: ip_tables, arp_tables, bridges, IPVS
constexpr std::uint32_t kTables6[] = {64, 65, 68, 69};

void RefuseSocketOptions(Program& program) {
  program.LoadArgument(1);
  program.Where(SOL_IP, [&] {
    program.LoadArgument(2);
    program.AnswerIfWithin(kIpsecPolicy, kXfrmPolicy, kRefuse);
    program.AnswerIfWithin(kTables, ~0u, kRefuse);
    program.Answer(SECCOMP_RET_ALLOW);
  });
  program.Where(SOL_IPV6, [&] {
    program.LoadArgument(2);
    program.AnswerIfWithin(kIpsecPolicy6, kXfrmPolicy6, kRefuse);
    for (std::uint32_t option : kTables6) program.AnswerIfEqual(option, kRefuse);
    program.Answer(SECCOMP_RET_ALLOW);
  });
  program.Where(IPPROTO_TCP, [&] {
    program.LoadArgument(2);
    program.AnswerIfEqual(TCP_REPAIR, kRefuse);
  });
  program.Answer(SECCOMP_RET_ALLOW);
}

void RefuseDeviceCalls(Program& program) {
  program.LoadArgument(1);
  for (std::uint32_t call : {SIOCGIFNAME, SIOCGIFCONF, SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFADDR,
                             SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK, SIOCGIFMETRIC,
                             SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFTXQLEN, SIOCGIFMAP}) {
    program.AnswerIfEqual(call, SECCOMP_RET_ALLOW);
  }
  program.AnswerIfWithin(0x8908, 0x89ff, kRefuse);  // below: owners, urgent data, time stamps
  program.Answer(SECCOMP_RET_ALLOW);
}

}  // namespace

std::vector<sock_filter> NetworkGuard() {
  Program program;
  program.LoadCall();
  program.Where(SYS_socket, [&] {
    program.LoadArgument(0);
    program.AnswerIfEqual(AF_NETLINK, kRefuse);
    program.Answer(SECCOMP_RET_ALLOW);
  });
  program.Where(SYS_ioctl, [&] { RefuseDeviceCalls(program); });
  program.Where(SYS_setsockopt, [&] { RefuseSocketOptions(program); });
  program.Where(SYS_getsockopt, [&] { RefuseSocketOptions(program); });
  program.Answer(SECCOMP_RET_ALLOW);
  return program.Take();
}

}  // namespace samovar
