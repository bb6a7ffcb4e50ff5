#include "os/memory.h"

#include <unistd.h>

namespace samovar {

Bytes HostMemory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long size = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || size <= 0) return Bytes::GiB(1);
  return {static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)};
}

}  // namespace samovar
