#include "os/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <cstddef>

// tcmalloc's, in programs that have it.
extern "C" {
[[gnu::weak]] void MallocExtension_ReleaseToSystem(std::size_t bytes);
[[gnu::weak]] int MallocExtension_GetNumericProperty(const char* name, std::size_t* value);
}

namespace samovar {

Bytes HostMemory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long size = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || size <= 0) return Bytes::GiB(1);
  return {static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)};
}

Bytes FreeMemoryKept() {
  std::size_t bytes = 0;
  if (!MallocExtension_GetNumericProperty) return {};
  if (!MallocExtension_GetNumericProperty("tcmalloc.pageheap_free_bytes", &bytes)) return {};
  return {bytes};
}

void GiveBackFreeMemory() {
  constexpr std::size_t kStep = 4 << 20;
  if (!MallocExtension_ReleaseToSystem || !MallocExtension_GetNumericProperty) {
    ::malloc_trim(0);
    return;
  }
  std::size_t left = FreeMemoryKept().count;
  // What a step frees beyond what it was asked for counts for the next ones.
  for (; left >= kStep; left -= kStep) MallocExtension_ReleaseToSystem(kStep);
}

}  // namespace samovar
