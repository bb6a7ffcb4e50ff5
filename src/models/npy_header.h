#pragma once
// The head of an .npy file, read and written, and the names that NumPy gives to element types.
// Errors   kInvalid "Model.InvalidInput".
// Source   NumPy enhancement proposal 1.

#include <string>
#include <string_view>

#include "models/signature.h"

namespace samovar {

struct NpyHeader {
  std::string descr;     // "<f4"
  char kind = 0;         // f, i, u, b, c, U, S
  std::size_t size = 0;  // bytes of one element
  bool big_endian = false;
  bool fortran_order = false;
  Shape shape;
};

// Takes the head off `bytes`; what is left is as long as the head says.
Result<NpyHeader> ReadNpyHeader(std::string_view& bytes);
std::string WriteNpyHeader(std::string_view descr, const Shape& shape);
std::string_view NpyDescr(ElementType type);  // "" where NumPy has no such type, and for strings
std::string WriteNpyStrings(const Tensor& tensor);  // as "<U...": whole characters

}  // namespace samovar
