#pragma once
// RunSpawner: the one process that makes sandboxes, reaps them and removes their traces.
//
// How      One thread, one epoll loop: orders from the server, set-up messages and ends of
//          sandboxes, memory bells, a tick while something needs looking at again. It ends when the
//          server's socket closes or on SIGTERM (its parent died), after all sandboxes are gone.
// Errors   Logged; a sandbox that cannot be made is answered as a failed Create.

#include <memory>

#include "os/fd.h"
#include "sandbox/cell.h"

namespace samovar {

int RunSpawner(std::unique_ptr<CellMaker> maker, Fd server);

}  // namespace samovar
