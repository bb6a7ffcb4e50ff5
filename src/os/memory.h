#pragma once
// The host's memory.
// Errors   None: a host that does not tell counts as 1 GiB.

#include "base/bytes.h"

namespace samovar {

Bytes HostMemory();

}  // namespace samovar
