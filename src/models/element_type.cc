#include "models/element_type.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "models/small_float.h"

namespace samovar {
namespace {

struct Description {
  std::string_view name;
  unsigned bits;
};

constexpr std::array<Description, 27> kTypes{{
    {"", 0},
    {"FP32", 32},
    {"UINT8", 8},
    {"INT8", 8},
    {"UINT16", 16},
    {"INT16", 16},
    {"INT32", 32},
    {"INT64", 64},
    {"BYTES", 0},
    {"BOOL", 8},
    {"FP16", 16},
    {"FP64", 64},
    {"UINT32", 32},
    {"UINT64", 64},
    {"COMPLEX64", 64},
    {"COMPLEX128", 128},
    {"BF16", 16},
    {"FP8E4M3FN", 8},
    {"FP8E4M3FNUZ", 8},
    {"FP8E5M2", 8},
    {"FP8E5M2FNUZ", 8},
    {"UINT4", 4},
    {"INT4", 4},
    {"FP4E2M1", 4},
    {"UINT2", 2},
    {"INT2", 2},
    {"FP8E8M0", 8},
}};

const Description& DescriptionOf(ElementType type) {
  const auto index = static_cast<std::size_t>(type);
  return kTypes[index < kTypes.size() ? index : 0];
}

// E8M0 has neither sign nor mantissa: a power of two, or NaN.
constexpr std::uint32_t kE8M0Nan = 255;
constexpr int kE8M0Bias = 127;

double FromE8M0(std::uint32_t bits) {
  if (bits == kE8M0Nan) return std::numeric_limits<double>::quiet_NaN();
  return std::ldexp(1.0, static_cast<int>(bits) - kE8M0Bias);
}

std::uint32_t ToE8M0(double value) {
  if (std::isnan(value)) return kE8M0Nan;
  if (value <= 0) return 0;
  if (std::isinf(value)) return kE8M0Nan - 1;
  const double exponent = std::nearbyint(std::log2(value)) + kE8M0Bias;
  return static_cast<std::uint32_t>(std::clamp(exponent, 0.0, kE8M0Nan - 1.0));
}

const SmallFloat* SmallFloatOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat16:
      return &kHalf;
    case ElementType::kBfloat16:
      return &kBrain;
    case ElementType::kFloat8E4M3Fn:
      return &kE4M3Fn;
    case ElementType::kFloat8E4M3Fnuz:
      return &kE4M3Fnuz;
    case ElementType::kFloat8E5M2:
      return &kE5M2;
    case ElementType::kFloat8E5M2Fnuz:
      return &kE5M2Fnuz;
    case ElementType::kFloat4E2M1:
      return &kE2M1;
    default:
      return nullptr;
  }
}

// `bits` at `index` of elements that are `width` bits wide (2, 4, 8 or 16).
void PutBits(std::byte* data, std::size_t index, unsigned width, std::uint32_t bits) {
  if (width == 16) {
    const auto value = static_cast<std::uint16_t>(bits);
    std::memcpy(data + index * 2, &value, 2);
  } else if (width == 8) {
    data[index] = static_cast<std::byte>(bits);
  } else {
    const std::size_t per_byte = 8 / width;
    const unsigned shift = static_cast<unsigned>(index % per_byte) * width;
    const auto mask = static_cast<std::byte>(((1u << width) - 1) << shift);
    std::byte& at = data[index / per_byte];
    at = (at & ~mask) | (static_cast<std::byte>(bits << shift) & mask);
  }
}

std::uint32_t GetBits(const std::byte* data, std::size_t index, unsigned width) {
  if (width == 16) {
    std::uint16_t value;
    std::memcpy(&value, data + index * 2, 2);
    return value;
  }
  if (width == 8) return std::to_integer<std::uint32_t>(data[index]);
  const std::size_t per_byte = 8 / width;
  const unsigned shift = static_cast<unsigned>(index % per_byte) * width;
  return std::to_integer<std::uint32_t>(data[index / per_byte]) >> shift & ((1u << width) - 1);
}

template <class T>
void Put(std::byte* data, std::size_t index, T value) {
  std::memcpy(data + index * sizeof(T), &value, sizeof(T));
}

template <class T>
T Get(const std::byte* data, std::size_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

// Whether `value`, of any arithmetic type, is one that T can say exactly.
template <class T, class From>
bool Fits(From value) {
  if constexpr (std::is_floating_point_v<From>) {
    // The bounds as doubles: 2^63 and 2^64 are exact, their predecessors are not. What rounds to
    // -2^63 may have been less, so that no double says it exactly.
    const double above = std::ldexp(1.0, std::numeric_limits<T>::digits);
    const double least = std::is_signed_v<T> ? -above : 0;
    const bool in = sizeof(T) == 8 && std::is_signed_v<T> ? value > least : value >= least;
    return in && value < above && value == std::trunc(value);
  } else {
    return std::in_range<T>(value);
  }
}

template <class T, class From>
bool PutWhole(std::byte* data, std::size_t index, From value) {
  if (!Fits<T>(value)) return false;
  Put(data, index, static_cast<T>(value));
  return true;
}

template <class From>
bool PutPacked(std::byte* data, std::size_t index, unsigned width, bool negative, From value) {
  if (!Fits<std::int64_t>(value)) return false;
  const auto whole = static_cast<std::int64_t>(value);
  const std::int64_t least = negative ? -(1 << (width - 1)) : 0;
  if (whole < least || whole >= least + (1 << width)) return false;
  PutBits(data, index, width, static_cast<std::uint32_t>(whole));
  return true;
}

template <class From>
bool StoreAny(ElementType type, std::byte* data, std::size_t index, From value) {
  if (type == ElementType::kFloat8E8M0) {
    PutBits(data, index, 8, ToE8M0(static_cast<double>(value)));
    return true;
  }
  if (const SmallFloat* kind = SmallFloatOf(type)) {
    PutBits(data, index, BitsOf(type), ToSmallFloat(*kind, static_cast<double>(value)));
    return true;
  }
  switch (type) {
    case ElementType::kFloat:
    case ElementType::kComplex64:
      Put(data, index, static_cast<float>(value));
      return true;
    case ElementType::kDouble:
    case ElementType::kComplex128:
      Put(data, index, static_cast<double>(value));
      return true;
    case ElementType::kBool:
      return (value == From{0} || value == From{1}) && PutWhole<std::uint8_t>(data, index, value);
    case ElementType::kUint8:
      return PutWhole<std::uint8_t>(data, index, value);
    case ElementType::kInt8:
      return PutWhole<std::int8_t>(data, index, value);
    case ElementType::kUint16:
      return PutWhole<std::uint16_t>(data, index, value);
    case ElementType::kInt16:
      return PutWhole<std::int16_t>(data, index, value);
    case ElementType::kUint32:
      return PutWhole<std::uint32_t>(data, index, value);
    case ElementType::kInt32:
      return PutWhole<std::int32_t>(data, index, value);
    case ElementType::kUint64:
      return PutWhole<std::uint64_t>(data, index, value);
    case ElementType::kInt64:
      return PutWhole<std::int64_t>(data, index, value);
    case ElementType::kUint4:
    case ElementType::kUint2:
      return PutPacked(data, index, BitsOf(type), false, value);
    case ElementType::kInt4:
    case ElementType::kInt2:
      return PutPacked(data, index, BitsOf(type), true, value);
    default:
      return false;
  }
}

template <class T>
void AppendNumber(T value, std::string& out) {
  std::array<char, 40> digits;
  out.append(digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr);
}

template <class T>
void AppendFloating(T value, bool quoted, std::string& out) {
  if (std::isfinite(value)) return AppendNumber(value, out);
  const char* name = std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  if (quoted) out += '"';
  out += name;
  if (quoted) out += '"';
}

std::int64_t SignedBits(std::uint32_t bits, unsigned width) {
  const auto value = static_cast<std::int64_t>(bits);
  return value >= 1 << (width - 1) ? value - (1 << width) : value;
}

}  // namespace

std::string_view DatatypeName(ElementType type) { return DescriptionOf(type).name; }

std::optional<ElementType> DatatypeOf(std::string_view name) {
  for (std::size_t i = 1; i < kTypes.size(); ++i) {
    if (kTypes[i].name == name) return static_cast<ElementType>(i);
  }
  return std::nullopt;
}

unsigned BitsOf(ElementType type) { return DescriptionOf(type).bits; }

std::size_t BytesFor(ElementType type, std::size_t count) { return (count * BitsOf(type) + 7) / 8; }

bool IsComplex(ElementType type) {
  return type == ElementType::kComplex64 || type == ElementType::kComplex128;
}

bool IsFloating(ElementType type) {
  return type == ElementType::kFloat || type == ElementType::kDouble ||
         type == ElementType::kFloat8E8M0 || SmallFloatOf(type);
}

bool Store(ElementType type, std::byte* data, std::size_t index, double value) {
  return StoreAny(type, data, index, value);
}
bool Store(ElementType type, std::byte* data, std::size_t index, std::int64_t value) {
  return StoreAny(type, data, index, value);
}
bool Store(ElementType type, std::byte* data, std::size_t index, std::uint64_t value) {
  return StoreAny(type, data, index, value);
}

double LoadFloating(ElementType type, const std::byte* data, std::size_t index) {
  switch (type) {
    case ElementType::kFloat:
    case ElementType::kComplex64:
      return Get<float>(data, index);
    case ElementType::kDouble:
    case ElementType::kComplex128:
      return Get<double>(data, index);
    case ElementType::kFloat8E8M0:
      return FromE8M0(GetBits(data, index, 8));
    default:
      break;
  }
  const SmallFloat* kind = SmallFloatOf(type);
  return kind ? FromSmallFloat(*kind, GetBits(data, index, BitsOf(type))) : 0;
}

void AppendElement(ElementType type, const std::byte* data, std::size_t index, bool quoted,
                   std::string& out) {
  switch (type) {
    case ElementType::kFloat:
    case ElementType::kComplex64:
      return AppendFloating(Get<float>(data, index), quoted, out);
    case ElementType::kDouble:
    case ElementType::kComplex128:
      return AppendFloating(Get<double>(data, index), quoted, out);
    case ElementType::kBool:
      out += Get<std::uint8_t>(data, index) != 0 ? "true" : "false";
      return;
    case ElementType::kUint8:
      return AppendNumber(Get<std::uint8_t>(data, index), out);
    case ElementType::kInt8:
      return AppendNumber(Get<std::int8_t>(data, index), out);
    case ElementType::kUint16:
      return AppendNumber(Get<std::uint16_t>(data, index), out);
    case ElementType::kInt16:
      return AppendNumber(Get<std::int16_t>(data, index), out);
    case ElementType::kUint32:
      return AppendNumber(Get<std::uint32_t>(data, index), out);
    case ElementType::kInt32:
      return AppendNumber(Get<std::int32_t>(data, index), out);
    case ElementType::kUint64:
      return AppendNumber(Get<std::uint64_t>(data, index), out);
    case ElementType::kInt64:
      return AppendNumber(Get<std::int64_t>(data, index), out);
    case ElementType::kUint4:
    case ElementType::kUint2:
      return AppendNumber(GetBits(data, index, BitsOf(type)), out);
    case ElementType::kInt4:
    case ElementType::kInt2:
      return AppendNumber(SignedBits(GetBits(data, index, BitsOf(type)), BitsOf(type)), out);
    default:
      // Few bits: as float, whose shortest form is short.
      return AppendFloating(static_cast<float>(LoadFloating(type, data, index)), quoted, out);
  }
}

}  // namespace samovar
