#pragma once
// How many descriptors this process may have open, and has.
// Errors   None: where the host does not tell, as if there were no room left.
// Threads  Safe.

#include <cstdint>

namespace samovar {

// The soft limit becomes the hard one, at most a million: a service manager's 1,024 are for
// programs that use select().
void AllowManyDescriptors();

struct Descriptors {
  std::uint64_t open = 0;  // the lowest number that is free, so at least as many as that
  std::uint64_t limit = 0;
};
Descriptors CountDescriptors();

}  // namespace samovar
