#include "collections/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace samovar {

std::uint64_t Checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::uint64_t SeededHash(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace samovar
