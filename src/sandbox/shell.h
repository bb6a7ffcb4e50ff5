#pragma once
// Shell: a process in namespaces and a cgroup of its own that waits for its order, as the spawner
// holds it (what it does is in sandbox_child.h). Grounds: what all sandboxes of a server stand on.
//
// Errors   kUnavailable: the host is out of something.
// Threads  The spawner's only one.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>

#include "base/error.h"
#include "os/cgroup.h"
#include "os/fd.h"
#include "os/seccomp_filter.h"
#include "sandbox/root_tree.h"
#include "sandbox/sandbox_child.h"

namespace samovar {

struct Grounds {
  RootTree root;
  CgroupTree cgroups;
  SeccompFilter filter, template_filter;
  unsigned first_uid = 0;
  SharedStatus* statuses = nullptr;  // one a slot
  std::set<unsigned> free_slots;
  std::uint64_t made = 0;  // cgroups, so far: their names
};

class Shell {
 public:
  // REQUIRES: a slot is free.
  explicit Shell(Grounds& grounds);
  Shell(const Shell&) = delete;
  ~Shell();  // REQUIRES Gone(), or nothing started

  Result<void> Start();
  bool Alive() const;
  uid_t uid() const { return grounds_.first_uid + slot_; }
  // Wait status of the user's program, or nothing where it never ended by itself.
  std::optional<int> ProgramStatus() const;
  // Ends and reaps it, without waiting. True once it is reaped and its cgroup is removed.
  bool Gone();

  pid_t pid = -1;  // of process 1; -1 before and after
  Fd pidfd, setup;
  Cgroup cgroup;

 private:
  Grounds& grounds_;
  unsigned slot_;
};

}  // namespace samovar
