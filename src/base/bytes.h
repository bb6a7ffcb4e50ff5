#pragma once
// Bytes: a size that is not a bare int.
// Units    bytes. MiB() and friends are binary, as Lambda's "MB" are.

#include <compare>
#include <cstdint>

namespace samovar {

struct Bytes {
  std::uint64_t count = 0;

  static constexpr Bytes KiB(std::uint64_t n) { return {n << 10}; }
  static constexpr Bytes MiB(std::uint64_t n) { return {n << 20}; }
  static constexpr Bytes GiB(std::uint64_t n) { return {n << 30}; }
  constexpr std::uint64_t WholeMiB() const { return count >> 20; }

  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) {
    return {a.count > b.count ? a.count - b.count : 0};
  }
};

}  // namespace samovar
