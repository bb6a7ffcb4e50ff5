#include "os/seccomp_filter.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <span>
#include <string>

#include "os/fd.h"
#include "os/network_guard.h"
#include "os/seccomp_lists.h"

namespace samovar {
namespace {

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

// Names that this libseccomp or this architecture does not know are left out: what is not allowed
// is refused anyway.
Result<void> AddNames(scmp_filter_ctx context, std::uint32_t action,
                      std::span<const char* const> names, std::string_view except = {}) {
  for (const char* name : names) {
    if (name == except) continue;
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || number < 0) continue;
    if (int err = seccomp_rule_add(context, action, number, 0); err != 0) {
      return std::unexpected(ErrnoError(std::string("seccomp rule for ") + name, -err));
    }
  }
  return {};
}

constexpr std::uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                         CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

// Rules that look at arguments. Comparisons see 64 bits where the kernel takes an int, so only
// allowances may rest on equality; whatever no rule matches is refused with ENOSYS.
class Conditions {
 public:
  explicit Conditions(scmp_filter_ctx context) : context_(context) {}

  static scmp_arg_cmp Is(unsigned at, std::uint64_t value) { return {at, SCMP_CMP_EQ, value, 0}; }
  static scmp_arg_cmp IsNot(unsigned at, std::uint64_t value) {
    return {at, SCMP_CMP_NE, value, 0};
  }
  static scmp_arg_cmp AtLeast(unsigned at, std::uint64_t value) {
    return {at, SCMP_CMP_GE, value, 0};
  }
  static scmp_arg_cmp Masked(unsigned at, std::uint64_t mask, std::uint64_t value) {
    return {at, SCMP_CMP_MASKED_EQ, mask, value};
  }

  void Allow(int number, std::initializer_list<scmp_arg_cmp> when) {
    Add(SCMP_ACT_ALLOW, number, when);
  }
  void Refuse(int number, std::initializer_list<scmp_arg_cmp> when) {
    Add(SCMP_ACT_ERRNO(EPERM), number, when);
  }
  int error() const { return error_; }

 private:
  void Add(std::uint32_t action, int number, std::initializer_list<scmp_arg_cmp> when) {
    if (error_ != 0) return;
    error_ = seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(when.size()),
                                    when.begin());
  }

  scmp_filter_ctx context_;
  int error_ = 0;
};

// Stream and datagram sockets over IP (TCP and UDP) and Unix, seqpacket over Unix, and rtnetlink,
// which getaddrinfo and if_nameindex ask for addresses.
void AddSockets(Conditions& rules) {
  constexpr std::uint64_t kKind = 0xf;  // the rest of the argument is SOCK_CLOEXEC, SOCK_NONBLOCK
  const int number = SCMP_SYS(socket);
  for (std::uint64_t kind = 0; kind <= kKind; ++kind) {
    bool plain = kind == SOCK_STREAM || kind == SOCK_DGRAM;
    auto is_kind = Conditions::Masked(1, kKind, kind);
    auto is_unix = Conditions::Is(0, AF_UNIX), is_netlink = Conditions::Is(0, AF_NETLINK);
    if (plain || kind == SOCK_SEQPACKET) {
      rules.Allow(number, {is_unix, is_kind});
    } else {
      rules.Refuse(number, {is_unix, is_kind});
    }
    if (kind == SOCK_DGRAM || kind == SOCK_RAW) {
      rules.Allow(number, {is_netlink, is_kind, Conditions::Is(2, 0)});
      rules.Refuse(number, {is_netlink, is_kind, Conditions::IsNot(2, 0)});
    } else {
      rules.Refuse(number, {is_netlink, is_kind});
    }
    for (std::uint64_t family : {AF_INET, AF_INET6}) {
      auto is_family = Conditions::Is(0, family);
      if (!plain) {
        rules.Refuse(number, {is_family, is_kind});
        continue;
      }
      for (std::uint64_t protocol = 0; protocol <= IPPROTO_UDP; ++protocol) {
        bool known = protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
        auto is_protocol = Conditions::Is(2, protocol);
        known ? rules.Allow(number, {is_family, is_kind, is_protocol})
              : rules.Refuse(number, {is_family, is_kind, is_protocol});
      }
      rules.Refuse(number, {is_family, is_kind, Conditions::AtLeast(2, IPPROTO_UDP + 1)});
    }
  }
  for (std::uint64_t family = 0; family < AF_NETLINK; ++family) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6) continue;
    rules.Refuse(number, {Conditions::Is(0, family)});
  }
  rules.Refuse(number, {Conditions::AtLeast(0, AF_NETLINK + 1)});
  rules.Allow(SCMP_SYS(socketpair), {Conditions::Is(0, AF_UNIX)});
  rules.Refuse(SCMP_SYS(socketpair), {Conditions::IsNot(0, AF_UNIX)});
}

Result<void> AddConditions(scmp_filter_ctx context, bool for_templates) {
  Conditions rules(context);
  if (for_templates) {
    rules.Allow(SCMP_SYS(unshare), {Conditions::Is(0, kCloneNamespaces)});
    rules.Refuse(SCMP_SYS(unshare), {Conditions::IsNot(0, kCloneNamespaces)});
  }
  rules.Allow(SCMP_SYS(clone), {Conditions::Masked(0, kNewNamespaces, 0)});
  for (std::uint64_t bit = 1; bit <= kNewNamespaces; bit <<= 1) {
    if (bit & kNewNamespaces) rules.Refuse(SCMP_SYS(clone), {Conditions::Masked(0, bit, bit)});
  }
  AddSockets(rules);
  // Plain Linux, the query, and without address randomisation (sanitizers ask for that).
  for (std::uint64_t persona : {0x0ull, 0x40000ull, 0xffffffffull}) {
    rules.Allow(SCMP_SYS(personality), {Conditions::Is(0, persona)});
  }
  if (rules.error() != 0) {
    return std::unexpected(ErrnoError("seccomp rules with conditions", -rules.error()));
  }
  return {};
}

Result<std::vector<sock_filter>> Export(scmp_filter_ctx context) {
  Fd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) return std::unexpected(ErrnoError("memfd_create"));
  if (int err = seccomp_export_bpf(context, file.Get()); err != 0) {
    return std::unexpected(ErrnoError("seccomp_export_bpf", -err));
  }
  off_t size = ::lseek(file.Get(), 0, SEEK_END);
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (size <= 0 || ::pread(file.Get(), program.data(), static_cast<std::size_t>(size), 0) != size) {
    return Fail(Code::kInternal, "the seccomp program could not be read back");
  }
  return program;
}

Result<std::vector<sock_filter>> Compile(bool for_templates) {
  Context context(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), &seccomp_release);
  if (!context) return Fail(Code::kInternal, "seccomp_init failed");
  (void)seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree, not a list
  TRY(AddNames(context.get(), SCMP_ACT_ALLOW, kAllowedCalls));
  TRY(AddNames(context.get(), SCMP_ACT_ERRNO(EPERM), kRefusedCalls,
               for_templates ? "unshare" : std::string_view()));
  TRY(AddNames(context.get(), SCMP_ACT_KILL_PROCESS, kFatalCalls));
  TRY(AddConditions(context.get(), for_templates));
  return Export(context.get());
}

}  // namespace

const unsigned long kCloneNamespaces =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET;

Result<SeccompFilter> SeccompFilter::Build() {
  SeccompFilter filter;
  TRY(auto program, Compile(false));
  filter.programs_.push_back(std::move(program));
  return filter;
}

Result<SeccompFilter> SeccompFilter::BuildForTemplates() {
  SeccompFilter filter;
  TRY(auto program, Compile(true));
  filter.programs_.push_back(NetworkGuard());
  filter.programs_.push_back(std::move(program));
  return filter;
}

Result<void> SeccompFilter::Install() const {
  for (const auto& code : programs_) {
    sock_fprog program{static_cast<unsigned short>(code.size()),
                       const_cast<sock_filter*>(code.data())};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
      return std::unexpected(ErrnoError("install the seccomp filter"));
    }
  }
  return {};
}

}  // namespace samovar
