#pragma once
// GuardEgress: a program in the kernel that keeps the processes of a cgroup from talking to the
// host they run on.
//
// How      It sees each packet that their sockets send, and drops those that would leave through
//          the loopback interface (so all that go to any address of the host itself) and those to
//          169.254.0.0/16, where clouds keep a machine's credentials.
// Errors   kUnsupported: the kernel does not take such programs.
// Threads  Safe.

#include "base/error.h"

namespace samovar {

// `cgroup` is a directory of the version 2 hierarchy. Holds as long as that cgroup exists.
Result<void> GuardEgress(int cgroup);

}  // namespace samovar
