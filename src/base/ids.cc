#include "base/ids.h"

#include <sys/random.h>

#include <array>
#include <mutex>
#include <random>
#include <string_view>

#include "base/error.h"

namespace samovar {
namespace {

// The ids are public names, not secrets; access keys use the kernel's generator directly.
std::uint64_t NextRandom() {
  static std::mutex mutex;
  static std::mt19937_64 generator = [] {
    std::array<std::uint32_t, 16> seed{};
    CHECK(getrandom(seed.data(), sizeof seed, 0) == sizeof seed);
    std::seed_seq sequence(seed.begin(), seed.end());
    return std::mt19937_64(sequence);
  }();
  std::lock_guard lock(mutex);
  return generator();
}

std::string Pick(std::string_view alphabet, int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += alphabet[NextRandom() % alphabet.size()];
  return text;
}

}  // namespace

std::string RandomHex(int digits) { return Pick("0123456789abcdef", digits); }

std::string RandomLowerAlnum(int n) { return Pick("abcdefghijklmnopqrstuvwxyz0123456789", n); }

std::string NewUuid() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::uint64_t high = (NextRandom() & ~0xf000ull) | 0x4000ull;
  std::uint64_t low = (NextRandom() & ~(3ull << 62)) | 2ull << 62;
  std::string text;
  text.reserve(36);
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) text += '-';
    std::uint64_t half = i < 16 ? high : low;
    text += kDigits[half >> (60 - 4 * (i % 16)) & 15];
  }
  return text;
}

}  // namespace samovar
