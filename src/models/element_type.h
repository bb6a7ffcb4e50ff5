#pragma once
// ElementType: what one element of a tensor is, for every type that ONNX has; and the reading and
// writing of single elements in a tensor's bytes.
//
// How      Elements lie as ONNX Runtime keeps them: little-endian, types below a byte packed from
//          the low bits up. Whatever a client sends as a number becomes an element by one of the
//          Store functions, and every element is printed by AppendElement, so that all forms of
//          payload agree.
// Errors   Store answers false where the value does not fit the type: out of range, or a fraction
//          for a whole number. Floating types take every value and round.
// Source   onnx.proto (TensorProto.DataType); the Open Inference Protocol's names, as Triton has
//          them, and names in their manner where it has none.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace samovar {

enum class ElementType : std::uint8_t {  // numbered as in ONNX Runtime's C API
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3Fn = 17,
  kFloat8E4M3Fnuz = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2Fnuz = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kUint2 = 24,
  kInt2 = 25,
  kFloat8E8M0 = 26,  // newer than ONNX Runtime's header here, not than its library
};

std::string_view DatatypeName(ElementType type);  // "FP32", "BYTES", ...; "" of no known type
std::optional<ElementType> DatatypeOf(std::string_view name);  // the reverse

unsigned BitsOf(ElementType type);  // of one element; 0 for strings
std::size_t BytesFor(ElementType type, std::size_t count);
bool IsComplex(ElementType type);
bool IsFloating(ElementType type);  // not complex

// Of a complex type, `index` counts parts: real and imaginary in turn.
bool Store(ElementType type, std::byte* data, std::size_t index, double value);
bool Store(ElementType type, std::byte* data, std::size_t index, std::int64_t value);
bool Store(ElementType type, std::byte* data, std::size_t index, std::uint64_t value);
double LoadFloating(ElementType type, const std::byte* data, std::size_t index);

// The element in as few digits as name it again. What JSON has no number for is "NaN", "Infinity"
// or "-Infinity", in quotes where `quoted`.
void AppendElement(ElementType type, const std::byte* data, std::size_t index, bool quoted,
                   std::string& out);

}  // namespace samovar
