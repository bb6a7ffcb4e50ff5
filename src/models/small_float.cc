#include "models/small_float.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace samovar {
namespace {

using Ends = SmallFloat::Ends;

int HighestExponent(const SmallFloat& kind) { return (1 << kind.exponent_bits) - 1; }

std::uint32_t SignBit(const SmallFloat& kind) {
  return 1u << (kind.exponent_bits + kind.mantissa_bits);
}

// The largest finite value, as bits without a sign.
std::uint32_t LargestBits(const SmallFloat& kind) {
  const std::uint32_t all = SignBit(kind) - 1;
  if (kind.ends == Ends::kIeee) return all - (1u << kind.mantissa_bits);
  return kind.ends == Ends::kOneNan ? all - 1 : all;
}

std::uint32_t NanBits(const SmallFloat& kind) {
  switch (kind.ends) {
    case Ends::kIeee:
      return (SignBit(kind) - 1) & ~((1u << (kind.mantissa_bits - 1)) - 1);  // the quiet one
    case Ends::kOneNan:
      return SignBit(kind) - 1;
    case Ends::kNegativeZero:
      return SignBit(kind);
    case Ends::kFinite:
      break;
  }
  return 0;
}

std::uint32_t TooLarge(const SmallFloat& kind, bool infinite) {
  if (kind.ends == Ends::kIeee && (infinite || !kind.saturates)) {
    return static_cast<std::uint32_t>(HighestExponent(kind)) << kind.mantissa_bits;
  }
  return LargestBits(kind);
}

}  // namespace

double FromSmallFloat(const SmallFloat& kind, std::uint32_t bits) {
  if (kind.ends == Ends::kNegativeZero && bits == SignBit(kind)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double sign = (bits & SignBit(kind)) != 0 ? -1 : 1;
  const std::uint32_t rest = bits & (SignBit(kind) - 1);
  const int exponent = static_cast<int>(rest >> kind.mantissa_bits);
  const std::uint32_t mantissa = rest & ((1u << kind.mantissa_bits) - 1);
  if (kind.ends == Ends::kIeee && exponent == HighestExponent(kind)) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  if (kind.ends == Ends::kOneNan && rest == SignBit(kind) - 1) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - kind.bias - kind.mantissa_bits);
  return sign * std::ldexp(mantissa + (1u << kind.mantissa_bits),
                           exponent - kind.bias - kind.mantissa_bits);
}

std::uint32_t ToSmallFloat(const SmallFloat& kind, double value) {
  if (std::isnan(value)) return NanBits(kind);
  const std::uint32_t sign = std::signbit(value) ? SignBit(kind) : 0;
  const double size = std::abs(value);
  std::uint32_t bits = 0;
  if (std::isinf(size)) {
    bits = TooLarge(kind, true);
  } else if (size > 0) {
    // In units of the last place of the value's exponent (or of the smallest one).
    const int exponent = std::max(std::ilogb(size), 1 - kind.bias);
    const auto units =
        static_cast<std::uint64_t>(std::nearbyint(std::ldexp(size, kind.mantissa_bits - exponent)));
    // A mantissa that rounds up to the next power of two carries into the exponent by itself.
    const std::uint64_t wide =
        (static_cast<std::uint64_t>(exponent + kind.bias - 1) << kind.mantissa_bits) + units;
    bits = wide > LargestBits(kind) ? TooLarge(kind, false) : static_cast<std::uint32_t>(wide);
  }
  // A type whose minus zero is NaN has none.
  if (bits == 0 && kind.ends == Ends::kNegativeZero) return 0;
  return bits | sign;
}

}  // namespace samovar
