#pragma once
// Egress: a way out of one sandbox's network namespace, for functions that asked for it.
//
// How      slirp4netns (Debian's package) answers for the namespace's one interface and opens
//          ordinary sockets of the host for it. It runs in a sandbox of its own (--enable-sandbox,
//          --enable-seccomp), without a way to the host's loopback, and in a cgroup whose program
//          drops whatever would leave through the host's own loopback interface: that is all
//          traffic to the host itself, whichever of its addresses is named.
// Errors   kUnsupported: slirp4netns is missing, or the host has no cgroup version 2 hierarchy for
//          that program, or its resolver listens on loopback only.

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

class Egress {
 public:
  virtual ~Egress() = default;  // ends it
};

// For the network namespace of process `pid`, in `cgroup` (guarded by os/egress_guard.h). When the
// way is open, the byte '1' is written to the socket `go`.
Result<std::unique_ptr<Egress>> StartEgress(pid_t pid, int cgroup, int go);

// The text of resolv.conf for a sandbox with egress.
Result<std::string> EgressResolver();

}  // namespace samovar
