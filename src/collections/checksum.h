#pragma once
// Checksum: XXH3, 64 bits, of what lies on disk. Finds accidents, not forgeries.

#include <cstdint>
#include <string_view>

namespace samovar {

std::uint64_t Checksum(std::string_view bytes);
// For hash tables whose keys come from outside.
std::uint64_t SeededHash(std::string_view bytes, std::uint64_t seed);

}  // namespace samovar
