#pragma once
// The floating types below 32 bits: to float and back, rounding to the nearest, ties to even.
// How      One description serves them all: bits of exponent and of mantissa, the bias, and how
//          the type spells what is not finite.
// Source   ONNX, "Float stored in 8 bits", "Float stored in 4 bits"; IEEE 754 binary16.

#include <cstdint>

namespace samovar {

struct SmallFloat {
  enum class Ends : std::uint8_t {
    kIeee,          // the highest exponent is for infinities and NaN
    kOneNan,        // only all ones is NaN, no infinity ("FN")
    kNegativeZero,  // only minus zero is NaN, no infinity ("FNUZ")
    kFinite,        // neither
  };
  int exponent_bits;
  int mantissa_bits;
  int bias;
  Ends ends;
  bool saturates = false;  // what is too large becomes the largest, not infinity or NaN
};

inline constexpr SmallFloat kHalf{5, 10, 15, SmallFloat::Ends::kIeee};
inline constexpr SmallFloat kBrain{8, 7, 127, SmallFloat::Ends::kIeee};
inline constexpr SmallFloat kE4M3Fn{4, 3, 7, SmallFloat::Ends::kOneNan, true};
inline constexpr SmallFloat kE4M3Fnuz{4, 3, 8, SmallFloat::Ends::kNegativeZero, true};
inline constexpr SmallFloat kE5M2{5, 2, 15, SmallFloat::Ends::kIeee, true};
inline constexpr SmallFloat kE5M2Fnuz{5, 2, 16, SmallFloat::Ends::kNegativeZero, true};
inline constexpr SmallFloat kE2M1{2, 1, 1, SmallFloat::Ends::kFinite, true};

double FromSmallFloat(const SmallFloat& kind, std::uint32_t bits);
std::uint32_t ToSmallFloat(const SmallFloat& kind, double value);

}  // namespace samovar
