#include "os/egress_guard.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "os/fd.h"

namespace samovar {
namespace {

constexpr int kLoopbackIndex = 1;  // in every network namespace

constexpr bpf_insn Insn(std::uint8_t code, std::uint8_t dst, std::uint8_t src, std::int16_t offset,
                        std::int32_t value) {
  return {.code = code, .dst_reg = dst, .src_reg = src, .off = offset, .imm = value};
}
constexpr bpf_insn Load32(std::uint8_t dst, std::uint8_t src, std::size_t offset) {
  return Insn(BPF_LDX | BPF_MEM | BPF_W, dst, src, static_cast<std::int16_t>(offset), 0);
}
constexpr bpf_insn Copy(std::uint8_t dst, std::uint8_t src) {
  return Insn(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}
constexpr bpf_insn Set(std::uint8_t dst, std::int32_t value) {
  return Insn(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value);
}
constexpr bpf_insn Add(std::uint8_t dst, std::int32_t value) {
  return Insn(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, value);
}
constexpr bpf_insn IfEqual(std::uint8_t reg, std::int32_t value, std::int16_t skip) {
  return Insn(BPF_JMP | BPF_JEQ | BPF_K, reg, 0, skip, value);
}
constexpr bpf_insn IfNotEqual(std::uint8_t reg, std::int32_t value, std::int16_t skip) {
  return Insn(BPF_JMP | BPF_JNE | BPF_K, reg, 0, skip, value);
}
constexpr bpf_insn Call(std::int32_t function) {
  return Insn(BPF_JMP | BPF_CALL, 0, 0, 0, function);
}
constexpr bpf_insn Exit() { return Insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

// Answers 1 (send) or 0 (drop). The packet begins with its IP header; a destination that cannot be
// read drops it.
constexpr bpf_insn kProgram[] = {
    Copy(BPF_REG_6, BPF_REG_1), Load32(BPF_REG_2, BPF_REG_6, offsetof(__sk_buff, ifindex)),
    IfEqual(BPF_REG_2, kLoopbackIndex, 12),  // to drop
    Load32(BPF_REG_2, BPF_REG_6, offsetof(__sk_buff, protocol)),
    IfNotEqual(BPF_REG_2, __builtin_bswap16(ETH_P_IP), 12),  // to send
    Copy(BPF_REG_1, BPF_REG_6), Set(BPF_REG_2, 16),          // of the destination in an IPv4 header
    Copy(BPF_REG_3, BPF_REG_10), Add(BPF_REG_3, -8), Set(BPF_REG_4, 2),
    Call(BPF_FUNC_skb_load_bytes), IfNotEqual(BPF_REG_0, 0, 3),  // to drop
    Insn(BPF_LDX | BPF_MEM | BPF_H, BPF_REG_2, BPF_REG_10, -8, 0),
    // send unless 169.254:
    Insn(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 1, 0xfea9), Insn(BPF_JMP | BPF_JA, 0, 0, 2, 0),
    Set(BPF_REG_0, 0), Exit(), Set(BPF_REG_0, 1), Exit()};

}  // namespace

Result<void> GuardEgress(int cgroup) {
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_SKB;
  load.expected_attach_type = BPF_CGROUP_INET_EGRESS;
  load.insns = reinterpret_cast<std::uint64_t>(kProgram);
  load.insn_cnt = sizeof kProgram / sizeof kProgram[0];
  static const char kLicense[] = "Apache-2.0";
  load.license = reinterpret_cast<std::uint64_t>(kLicense);
  Fd program(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load)));
  if (!program) {
    return Fail(Code::kUnsupported, ErrnoError("load the egress guard").message);
  }
  bpf_attr attach{};
  attach.target_fd = static_cast<std::uint32_t>(cgroup);
  attach.attach_bpf_fd = static_cast<std::uint32_t>(program.Get());
  attach.attach_type = BPF_CGROUP_INET_EGRESS;
  if (::syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) != 0) {
    return Fail(Code::kUnsupported, ErrnoError("attach the egress guard").message);
  }
  return {};
}

}  // namespace samovar
