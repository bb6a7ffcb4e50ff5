// A native file of a package: whatever it says, reading it stays within it.

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "input.h"
#include "packages/elf_file.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = memfd_create("elf", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  CHECK(file >= 0 && ftruncate(file, 0) == 0);
  CHECK(pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  if (auto elf = ReadElf(path); elf && *elf) {
    for (const auto& need : (*elf)->needs_versions) CHECK(need.version.size() <= 4096);
  }
  (void)DefinesSymbol(path, "PyInit_fast");
  return 0;
}
