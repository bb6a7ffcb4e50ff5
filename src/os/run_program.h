#pragma once
// RunProgram: runs a short program and reads what it says.
// Errors   kNotFound when it cannot be started, kTimeout when it does not end in time (it is
//          killed), kUnavailable when it fails: the message ends with the last line of its standard
//          error.
// Threads  Safe; blocks.

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"

namespace samovar {

// Standard output, up to 1 MiB. Input is empty. argv[0] is a path.
Result<std::string> RunProgram(const std::vector<std::string>& argv,
                               std::chrono::milliseconds timeout);

}  // namespace samovar
