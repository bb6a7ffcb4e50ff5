#pragma once
// NpyRows: the rows of an .npy file that holds a matrix of floats.
// Errors   kInvalid for another type, order or shape, with the file's name.
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
  std::unexpected<Error> Wrong(const std::string& what) const {
    return Fail(Code::kInvalid, path_ + ": " + what);
  }

  std::string path_;
  std::ifstream in_;
  std::uint64_t rows_ = 0;
  std::uint64_t columns_ = 0;
  std::size_t size_ = 4;  // of an element: f2, f4, f8
};

}  // namespace samovar
