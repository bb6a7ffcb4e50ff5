#pragma once
// Dresser: a root process that gives one clone what a clone cannot give itself: its cgroup, its own
// /tmp and /dev/shm with what the template left there, and its own /proc.
//
// Why      Nothing that user code is may mount; and the spawner never waits, as moving processes
//          between cgroups or copying files can.
// How      Made before it is needed, in the cgroup that will be the clone's (so that files it
// copies
//          are the clone's to answer for) and a mount namespace of its own, in which it prepares
//          the mounts; these it puts into the clone's namespace from outside. Orders, over
//          `helper`:
//            Dress: the template's spec, with its /tmp and /dev/shm, when the template is asked
//            TakeIn: of a process started ahead (SandboxSpec::boot): the spec that it takes in,
//            with
//                   the process's mount namespace; what the spec mounts beyond the boot's mounts is
//                   put in as well, and that is all
//            Move:  process 1 and the program of the clone, with its mount and pid namespaces and
//                   the list of the template's processes, once they are known
//          It answers 'R' with the new /tmp, then, with egress, 'W' once the way out is open, and
//          ends; or an 'E' as sandbox_child.h has it.
// Errors   kUnsupported: more than 64 MiB in the template's /tmp. kDenied: the clone is not alone
//          in its pid namespace.
// Threads  The spawner's only one.

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "os/cgroup.h"
#include "os/fd.h"
#include "sandbox/sandbox.h"

namespace samovar {

class Dresser {
 public:
  // `cgroup` is new.
  static Result<std::unique_ptr<Dresser>> Start(const std::string& root, Cgroup cgroup);
  Dresser() = default;
  Dresser(const Dresser&) = delete;

  bool Alive() const;
  Result<void> Dress(const SandboxSpec& spec, int tmp, int shm);
  Result<void> TakeIn(const SandboxSpec& spec, int mounts);
  Result<void> Move(pid_t init, pid_t program, int mounts, int pids, int members);
  void Kill();
  // Reaps it, without waiting. True once that is done.
  bool Reaped();

  Fd helper;
  Cgroup cgroup;

 private:
  pid_t pid_ = -1;
  Fd pidfd_;
};

struct DresserPlan {
  std::string root;  // RootTree::path()
  Cgroup* cgroup;
  int orders;
};
[[noreturn]] void RunDresser(const DresserPlan& plan);

}  // namespace samovar
