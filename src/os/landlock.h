#pragma once
// ConfineTo: from here on the process reaches no file but those below one folder, and opens no TCP
// connection.
//
// How      Linux's Landlock, as far as the kernel has it; what is open already stays open.
// Errors   kUnavailable from the kernel. A kernel without Landlock is no error: false.
// Threads  The calling one, and those that it starts.

#include "base/error.h"

namespace samovar {

// `folder`: a descriptor (O_PATH will do). Sets no_new_privs.
Result<bool> ConfineTo(int folder);

}  // namespace samovar
