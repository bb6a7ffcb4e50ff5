#pragma once
// The host's memory, and what of it this process keeps free.
// Errors   None: a host that does not tell counts as 1 GiB.

#include "base/bytes.h"

namespace samovar {

Bytes HostMemory();
Bytes FreeMemoryKept();  // what was freed and malloc keeps; 0 where it does not tell
// What was freed and malloc keeps goes back to the system, in short steps: others who allocate wait
// for one. Takes some 0.1 s for 1 GiB.
void GiveBackFreeMemory();

}  // namespace samovar
