// A package's manifest, as a client sends it: what is read of it reads the same when written again.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "input.h"
#include "store/manifest.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/dev/shm/samovar-manifest-fuzz-" + std::to_string(getpid());
  static const bool removed = std::atexit([] { std::filesystem::remove(path); }) == 0;
  CHECK(removed);
  std::ofstream(path, std::ios::binary)
      << kManifestHead << std::string_view(reinterpret_cast<const char*>(data), size);
  auto reader = ManifestReader::Open(path);
  CHECK(reader);
  for (std::string last;;) {
    const auto entry = reader->Next();
    if (!entry || !*entry) break;
    CHECK((*entry)->path > last);
    last = (*entry)->path;
    CHECK(ManifestLine(**entry).ends_with('\n'));
  }
  return 0;
}
