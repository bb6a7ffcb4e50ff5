#pragma once
// NpyRows: the rows of an .npy file that holds a matrix of numbers.
//
// How      In Fortran's order a column's values follow each other: some rows' part of each column
//          is read at once and kept.
// Errors   kInvalid for another type or shape, with the file's name.
// Source   NumPy enhancement proposal 1.

#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"

namespace samovar {

class NpyRows {
 public:
  static Result<NpyRows> Open(const std::string& path);

  std::uint64_t Rows() const { return rows_; }
  std::uint64_t Columns() const { return columns_; }
  std::uint64_t RowBytes() const { return columns_ * size_; }
  Result<std::vector<float>> Next();

 private:
  Result<void> ReadHead();
  Result<void> ReadColumns();
  float Value(const char* at) const;
  std::unexpected<Error> Wrong(const std::string& what) const {
    return Fail(Code::kInvalid, path_ + ": " + what);
  }

  std::string path_;
  std::ifstream in_;
  std::uint64_t rows_ = 0;
  std::uint64_t columns_ = 0;
  char kind_ = 'f';       // f, i, u
  std::size_t size_ = 4;  // of an element
  bool big_endian_ = false, fortran_ = false;
  std::streamoff data_ = 0;                  // where elements begin
  std::uint64_t next_ = 0;                   // the row
  std::uint64_t first_ = 0, read_rows_ = 0;  // in Fortran's order: the rows in block_
  std::string block_;
};

}  // namespace samovar
