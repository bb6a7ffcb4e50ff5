#pragma once
// RunShell: what a new sandbox process does between its clone and its program.
//
// How      It starts as root in new pid, mount, ipc, uts and network namespaces, joins its cgroup
//          and raises its loopback: so far it is anybody's shell, made before it is needed, since
//          joining a cgroup may wait tens of milliseconds for a grace period of the kernel. Then it
//          receives its sandbox (an order as JSON, descriptors for the log and the channel), puts
//          its mounts up, makes the shared tree its root, becomes an unprivileged user of the host
//          in a user namespace of its own, drops every capability and installs the seccomp filter.
//          It stays as process 1 and reaps, the user's program is its child: so signals and aborts
//          mean to that program what they mean anywhere. In a clonable sandbox it stays until the
//          spawner ends it, after the last clone.
// Errors   Over `setup`: 'E', the Code as a digit, the message. Success: 'R' with descriptors
//          (/tmp, /dev/shm, and the Runtime API's listener where there is one), then, with egress,
//          it waits for the byte '1'; at last the end of the socket, at exec.

#include <sys/types.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "os/cgroup.h"
#include "os/fd.h"
#include "os/seccomp_filter.h"
#include "sandbox/sandbox.h"

namespace samovar {

// In memory that spawner and process 1 share: wait status of the user's program + 1, or 0.
using SharedStatus = std::atomic<std::int32_t>;

struct ShellPlan {
  std::string root;  // RootTree::path()
  uid_t host_uid;    // unprivileged, of no other process; also the gid
  Cgroup* cgroup;
  const SeccompFilter* filter;
  const SeccompFilter* template_filter;
  int setup;
  SharedStatus* status;
};

[[noreturn]] void RunShell(const ShellPlan& plan);

// The rest, for both kinds of isolation: descriptors 0 to 4, limits, then the program.
[[noreturn]] void RunProgram(const SandboxSpec& spec, int setup);
// -1 for a descriptor that is not to be there; `setup` moves out of the way.
Result<void> PlaceDescriptors(int log_write, int channel, int control, int* setup);
Result<void> LimitResources();
// Until slirp4netns has written '1' to the other end of `socket`: its interface is up.
Result<void> WaitForEgress(int socket);
// Sends the error and exits.
[[noreturn]] void ReportAndExit(int setup, const Error& error);

// A non-blocking listener at 127.0.0.1:`port` of the network namespace.
Result<Fd> ListenOnLoopback(std::uint16_t port);

}  // namespace samovar
