#pragma once
// Cgroup: the bounds of one sandbox (memory, processes, CPU, freezing), and CgroupTree, the
// parent of all sandboxes of one server.
//
// How      Taking a process into a cgroup waits for a grace period of the kernel (10 to 25 ms when
//          the host is busy) unless some hierarchy is mounted with "favordynmods". CgroupTree makes
//          a named one of its own for that, without controllers, attached nowhere, which goes with
//          this process; where the kernel does not let it, the waits stay. Version 1 hierarchies
//          (memory, cpu, pids, freezer, each where it is mounted) or the one version 2 hierarchy,
//          whichever has the memory controller. The tree lies below the cgroup that this process is
//          in, so outer bounds hold. The version 2 code was written from cgroup-v2.rst and has not
//          run on a version 2 host yet.
// Errors   kUnsupported: a controller is missing (named). kUnavailable: the kernel refused.
// Threads  One.
// Source   Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "os/fd.h"

namespace samovar {

struct CgroupMemory {
  Bytes anonymous;
  Bytes shared;  // shared memory, tmpfs included
};
// Reads both from the text of memory.stat, of either version.
CgroupMemory ParseMemoryStat(const std::string& text);

class Cgroup {
 public:
  Cgroup() = default;
  Cgroup(Cgroup&&) = default;
  Cgroup& operator=(Cgroup&&) = default;

  Result<void> Join();           // the calling process, and what it forks from now on
  Result<void> Take(pid_t pid);  // another process; its children stay where they are
  // `hard_memory` is the kernel's bound on everything charged.
  Result<void> SetLimits(Bytes hard_memory, int max_processes);
  Result<void> SetCpus(double cpus);
  Result<void> Freeze(bool frozen);
  CgroupMemory Memory();
  Bytes Usage();        // everything charged, page cache too
  Bytes PeakUsage();    // the most of it; 0 where the kernel does not keep it
  bool KernelOom();     // the kernel's own OOM killer struck here
  Fd OpenMemoryStat();  // for reading; empty where it cannot be
  // An eventfd that rings when the kernel's OOM killer strikes. Version 1 only, as version 2 kills
  // the whole group itself; empty otherwise. (Usage thresholds would be the bell to have, but
  // arming one waits 20 ms for an RCU grace period.)
  Fd WatchOom();
  // SIGKILL to every member but `spared`. True once there is none left.
  bool KillAllBut(pid_t spared);
  std::vector<pid_t> Members();
  Fd OpenMembers();  // their list, for reading
  // Closes every descriptor of this process but the standard ones, `kept` and what Take() needs.
  Result<void> KeepOnly(int kept);
  bool Remove();  // false while something is still in it

 private:
  friend class CgroupTree;
  struct Part {
    std::string path;
    Fd dir;
  };
  int Dir(const char* controller) const;

  bool v2_ = false;
  std::vector<Part> parts_;  // memory, cpu, pids, freezer; one alone in version 2
  Fd usage_, stat_;          // kept open: both are read again and again
};

class CgroupTree {
 public:
  // Finds the hierarchies, makes the parent `name` in each, and removes what an earlier life left
  // below it (killing it first).
  static Result<CgroupTree> Open(const std::string& name);

  Result<Cgroup> Create(const std::string& leaf);
  // A version 2 cgroup without controllers below the tree, for programs of the network
  // (os/egress_guard.h); empty where no version 2 hierarchy is mounted.
  Fd OpenNetworkGroup();
  // Kills and removes all below, then the parent itself.
  void Remove();
  const std::vector<std::string>& Paths() const { return paths_; }

 private:
  bool v2_ = false;
  std::vector<std::string> paths_;  // of the parent: memory, cpu, pids, freezer
  std::string network_path_;        // of the parent in the version 2 hierarchy, or ""
  Fd quick_;                        // the mount with "favordynmods"
};

}  // namespace samovar
