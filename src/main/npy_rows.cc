#include "main/npy_rows.h"

#include <re2/re2.h>

#include <cstring>

namespace samovar {

Result<NpyRows> NpyRows::Open(const std::string& path) {
  NpyRows rows;
  rows.path_ = path;
  rows.in_.open(path, std::ios::binary);
  TRY(rows.ReadHead());
  return rows;
}

Result<void> NpyRows::ReadHead() {
  char magic[8] = {};
  in_.read(magic, sizeof(magic));
  if (!in_ || std::memcmp(magic, "\x93NUMPY", 6) != 0 || magic[6] < 1 || magic[6] > 3) {
    return Wrong("it is no .npy file");
  }
  std::uint32_t size = 0;
  in_.read(reinterpret_cast<char*>(&size), magic[6] == 1 ? 2 : 4);
  if (!in_ || size > (1U << 20)) return Wrong("its head is cut short");
  std::string head(size, '\0');
  in_.read(head.data(), size);
  if (!in_) return Wrong("its head is cut short");
  std::string type;
  std::string order;
  if (!RE2::PartialMatch(head, R"('descr':\s*'([^']*)')", &type) ||
      !RE2::PartialMatch(head, R"('fortran_order':\s*(True|False))", &order) ||
      !RE2::PartialMatch(head, R"('shape':\s*\(\s*(\d+),\s*(\d+),?\s*\))", &rows_, &columns_)) {
    return Wrong("expected a matrix (an array of two dimensions)");
  }
  if (type != "<f2" && type != "<f4" && type != "<f8") {
    return Wrong("expected floats of 2, 4 or 8 bytes, its elements are " + type);
  }
  if (order == "True") return Wrong("expected rows that follow each other (fortran_order is True)");
  if (columns_ < 1 || columns_ > 65'536) return Wrong("it has no row that can be a vector");
  size_ = static_cast<std::size_t>(type[2] - '0');
  return {};
}

Result<std::vector<float>> NpyRows::Next() {
  std::string bytes(RowBytes(), '\0');
  in_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in_) return Wrong("it is cut short");
  std::vector<float> values(columns_);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const char* at = bytes.data() + i * size_;
    if (size_ == 4) {
      std::memcpy(&values[i], at, 4);
    } else if (size_ == 8) {
      double wide = 0;
      std::memcpy(&wide, at, 8);
      values[i] = static_cast<float>(wide);
    } else {
      _Float16 half{};
      std::memcpy(&half, at, 2);
      values[i] = static_cast<float>(half);
    }
  }
  return values;
}

}  // namespace samovar
