#pragma once
// RunSupervised: the process tree of `samovar serve`.
//
// Why      User code needs root to be shut in, and the server must not have root.
// How      The calling process becomes the supervisor: it stays root, does nothing but wait, and
//          starts the spawner (root, makes sandboxes) and the server (without privilege), which
//          talk over a socket. It passes SIGTERM and SIGINT on to the server, ends with the
//          server's status, and replaces a spawner that died: the server gets a new socket, its old
//          sandboxes count as killed. When the supervisor or the server dies, the rest dies too,
//          and no process, cgroup or mount stays.
// Errors   Logged, and answered as exit code 1: what the host lacks for isolation "full" is named,
//          and so is a folder that the server's user could not pass through on its way to data_dir.
// Threads  REQUIRES: the caller has one thread. `server` runs in a child process and may start
//          more.

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/task.h"
#include "os/fd.h"
#include "sandbox/sandbox.h"

namespace samovar {

struct SupervisorOptions {
  std::string data_dir;  // created if absent; one server a directory, held by a lock on it
  // Who the server becomes when started as root. Default: the owner of data_dir if that is not
  // root, else 64321. data_dir is handed to that user.
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::string isolation = "full";  // or "process" (docs/isolation.md)
};

// What the server's process has of the spawner.
struct ServerSide {
  Fd spawners;  // on which the supervisor hands over one socket for each spawner's life
  std::string isolation;
};

int RunSupervised(const SupervisorOptions& options, const std::function<int(ServerSide)>& server);

// On the event loop of the server's process.
std::unique_ptr<SandboxHost> OpenSandboxHost(Executor loop, ServerSide&& side);

}  // namespace samovar
