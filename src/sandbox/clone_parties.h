#pragma once
// CloneParties: process 1 and the program of a new clone, taken from the kernel's word.
//
// Why      The template is user code. It may name any process, or send what it likes.
// How      The kernel says who sent a message (its pid); the rest is read from /proc, by way of
//          descriptors that cannot come to mean another process: the user of the template alone,
//          its cgroup, a pid namespace right below its own in which the one is process 1 and the
//          other is not, and no namespace that is the template's.
// Errors   kDenied with what is wrong.
// Threads  The spawner's only one.

#include <sys/types.h>

#include <array>
#include <string>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

// pid first, mnt second.
inline constexpr const char* kNamespaceNames[] = {"pid", "mnt", "net", "ipc", "uts", "user"};
using Namespaces = std::array<ino_t, std::size(kNamespaceNames)>;

struct TemplateMark {
  uid_t uid = 0;
  std::string cgroup;  // the lines of /proc/PID/cgroup that are not of a root
  Namespaces namespaces{};
  // Of the template's process 1.
  static Result<TemplateMark> Of(pid_t pid, uid_t uid);
};

struct CloneParty {
  pid_t pid = -1;
  Fd pidfd;
  Fd pids, mounts;  // its namespaces
  Namespaces namespaces{};
  static Result<CloneParty> Of(pid_t pid, bool is_init, const TemplateMark& mark);
};

}  // namespace samovar
