#pragma once
// CheckHandler: whether the file and the name that a handler says are in the package.
//
// How      The file is looked for where the runtime looks; what a Python module defines is asked of
//          the function's own interpreter, which parses it and runs none of it. Where the module
//          may make names as it runs (import *, __getattr__, globals()), nothing is said.
// Errors   nullopt: it is there, or it cannot be told.
// Threads  One; starts a process.

#include <optional>

#include "packages/package_check.h"

namespace samovar {

std::optional<Finding> CheckHandler(const PackageCheck& check);
// Of `provided`: the bootstrap, its run bit, and the interpreter that a script names.
std::optional<Finding> CheckBootstrap(const PackageCheck& check);

}  // namespace samovar
