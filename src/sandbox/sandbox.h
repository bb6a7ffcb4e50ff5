#pragma once
// Sandbox: one isolated process tree, seen from the server.
//
// Why      User code is hostile by assumption. It runs without privilege in namespaces of its own,
//          behind a seccomp filter, on a read-only root, in a cgroup; the server, which has no
//          privilege either, holds only file descriptors to it.
// How      SandboxHost asks the spawner (spawner.h: a small root process) over a Unix socket and
//          gets descriptors back. Destroying a Sandbox kills its whole tree and frees its cgroup.
//          A clone is a Sandbox made of a running one (the template) that has initialised: memory
//          is shared until written, all else is its own (docs/isolation.md).
// Units    Bytes, std::chrono; cpus are whole CPUs (0.072 is 128 MB's share).
// Errors   kUnavailable: the spawner is gone or the host is out of something. kInvalid: the spec
//          names a thing that does not exist (message names it). kUnsupported: no cloning here.
// Threads  The event loop only.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"
#include "os/fd.h"

namespace samovar {

// What is seen at `target` inside. Always read-only, nosuid, nodev.
struct BindMount {
  std::string source;                 // absolute, on the host
  std::string target;                 // absolute, inside
  std::vector<std::string> overlays;  // further sources laid over `source`, later wins (layers)
};

enum class Network : std::uint8_t {
  kLoopback,  // a namespace with only loopback in it
  kEgress,    // may open connections outwards; never to the host's loopback
};

// How a process starts before it is known for which function: with what all functions of a runtime
// have in common.
struct GenericBoot {
  std::vector<std::string> env;   // the whole environment until then
  std::vector<BindMount> mounts;  // each is one of SandboxSpec::mounts, too
};

struct SandboxSpec {
  std::string id;                 // [a-z0-9-]{1,64}, unique among the living
  std::vector<std::string> argv;  // argv[0] is a path inside
  std::vector<std::string> env;   // "NAME=value", the whole environment
  std::string cwd = "/var/task";
  std::vector<BindMount> mounts;  // beside the common read-only root
  // Folders of a container image's layers, lowest first: laid over each other they are the root,
  // read-only, instead of the common one. argv[0] is then looked up on env's PATH where it is a
  // bare name. Not with isolation "process", and not clonable.
  std::vector<std::string> image = {};
  Bytes memory;              // processes together; /tmp does not count
  Bytes tmp_size;            // of the private /tmp
  double cpus = 1;           // after UseCpuLimit(); initialisation runs without
  int max_processes = 1024;  // processes and threads
  Network network = Network::kLoopback;
  bool channel = false;      // a framed channel at descriptor 3 inside (docs/formats/channel.md)
  bool runtime_api = false;  // a listener at 127.0.0.1:9001 inside, for the Runtime API
  // The program may be cloned: it gets a control socket at descriptor 4 on which it is asked to
  // (docs/isolation.md), and may make the namespaces that a clone needs. REQUIRES channel.
  bool clonable = false;
  // The program may have been started ahead, from this alone: it gets a control socket at
  // descriptor 4, on which the rest comes once it is there, as {"take": {"env": [...], "cwd": ""}}.
  // REQUIRES loopback only, and not clonable.
  std::optional<GenericBoot> boot = {};
  // Of what the mounts show: lives as long as the instance.
  std::shared_ptr<void> keep = {};
};

struct CloneSpec {
  std::string id;                // as SandboxSpec::id
  std::vector<std::string> env;  // "NAME=value", set in the clone over what the template has
};

struct SandboxExit {
  int code = 0;    // exit status, when signal is 0
  int signal = 0;  // the signal that ended it, e.g. SIGKILL
  bool out_of_memory = false;
  Bytes max_memory;  // the most the processes used
};

class Sandbox {
 public:
  virtual ~Sandbox() = default;  // kills, without waiting

  virtual const std::string& Id() const = 0;
  virtual Fd TakeChannel() = 0;     // our end, SOCK_STREAM; empty where spec.channel was false
  virtual Fd TakeLog() = 0;         // read end: standard output and error, non-blocking
  virtual Fd TakeRuntimeApi() = 0;  // the listening socket; empty where not asked for
  // The processes' memory now (anonymous and shared, without page cache and /tmp). Cheap: one
  // pread.
  virtual Bytes MemoryInUse() = 0;
  // What its process had when this took it over; 0 where none was booted ahead for it.
  virtual Bytes BootedMemory() const { return {}; }
  // Puts spec.cpus in force; called once initialisation is done.
  virtual void UseCpuLimit() = 0;
  // Stops every process of the tree from running, or lets it go on (cgroup freezer).
  virtual void Freeze(bool frozen) = 0;
  // SIGKILL to the whole tree. WaitExit() then answers.
  virtual void Kill() = 0;
  // When the first process of the tree has ended and all others are gone. Many may wait.
  virtual Task<SandboxExit> WaitExit() = 0;
  // Of a clonable sandbox: another one like it, with its limits, mounts and network, which lives on
  // when this one ends. kUnsupported where it cannot be cloned, kUnavailable where it has ended, is
  // busy for too long or the host is out of something.
  virtual Task<Result<std::unique_ptr<Sandbox>>> Clone(CloneSpec) {
    co_return Fail(Code::kUnsupported, "this sandbox cannot be cloned");
  }
};

class SandboxHost {
 public:
  virtual ~SandboxHost() = default;
  virtual Task<Result<std::unique_ptr<Sandbox>>> Create(SandboxSpec spec) = 0;
  // Ends the processes that are booted ahead (SandboxSpec::boot), and boots none until a later
  // Create() with one. Orders after it find their memory free.
  virtual void DropBooted() {}
  // What isolation this host gives: "full" or "process" (docs/isolation.md).
  virtual std::string_view Isolation() const = 0;
};

}  // namespace samovar
