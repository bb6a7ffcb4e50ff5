#include "os/landlock.h"

#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "os/fd.h"

namespace samovar {
namespace {

// In the order of the versions that brought them; a kernel refuses what it does not know.
constexpr std::uint64_t kFileAccess = (1ull << 13) - 1;  // version 1: execute .. make a symlink
constexpr std::uint64_t kRefer = 1ull << 13;             // version 2: link between folders
constexpr std::uint64_t kTruncate = 1ull << 14;          // version 3
constexpr std::uint64_t kTcp = 3;                        // version 4: bind and connect

// As the kernel takes it from version 4 on; older ones take the first member alone.
struct Ruleset {
  std::uint64_t files;
  std::uint64_t net;
};

}  // namespace

Result<bool> ConfineTo(int folder) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return std::unexpected(ErrnoError("no_new_privs"));
  }
  const long version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return false;
  Ruleset rules{kFileAccess, version >= 4 ? kTcp : 0};
  if (version >= 2) rules.files |= kRefer;
  if (version >= 3) rules.files |= kTruncate;
  const std::size_t size = version >= 4 ? sizeof rules : sizeof rules.files;
  const Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, 0)));
  if (!ruleset) return std::unexpected(ErrnoError("make a Landlock ruleset"));
  landlock_path_beneath_attr beneath{};
  beneath.allowed_access = rules.files;
  beneath.parent_fd = folder;
  if (::syscall(SYS_landlock_add_rule, ruleset.Get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) !=
          0 ||
      ::syscall(SYS_landlock_restrict_self, ruleset.Get(), 0) != 0) {
    return std::unexpected(ErrnoError("confine a process by Landlock"));
  }
  return true;
}

}  // namespace samovar
