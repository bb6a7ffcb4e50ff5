#include "main/npy_rows.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstring>

namespace samovar {

namespace {

constexpr std::uint64_t kBlock = 16 << 20;  // bytes that are read at once in Fortran's order

}  // namespace

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
  static const RE2 kNumbers(R"(([<>|=])(f[248]|[iu][1248]))");
  std::string byte_order;
  std::string element;
  if (!RE2::FullMatch(type, kNumbers, &byte_order, &element)) {
    return Wrong("expected numbers (f2, f4, f8, i1 to i8, u1 to u8), its elements are " + type);
  }
  if (columns_ < 1 || columns_ > 65'536) return Wrong("it has no row that can be a vector");
  kind_ = element[0];
  size_ = static_cast<std::size_t>(element[1] - '0');
  big_endian_ = byte_order == ">";
  fortran_ = order == "True";
  data_ = in_.tellg();
  return {};
}

float NpyRows::Value(const char* at) const {
  char bytes[8] = {};
  std::memcpy(bytes, at, size_);
  if (big_endian_) std::reverse(bytes, bytes + size_);
  const auto as = [&]<class T>(T value) {
    std::memcpy(&value, bytes, sizeof(value));
    return static_cast<float>(value);
  };
  switch (kind_) {
    case 'f':
      return size_ == 2 ? as(_Float16{}) : size_ == 4 ? as(float{}) : as(double{});
    case 'i':
      return size_ == 1   ? as(std::int8_t{})
             : size_ == 2 ? as(std::int16_t{})
             : size_ == 4 ? as(std::int32_t{})
                          : as(std::int64_t{});
    default:
      return size_ == 1   ? as(std::uint8_t{})
             : size_ == 2 ? as(std::uint16_t{})
             : size_ == 4 ? as(std::uint32_t{})
                          : as(std::uint64_t{});
  }
}

Result<void> NpyRows::ReadColumns() {
  first_ = next_;
  read_rows_ =
      std::min<std::uint64_t>(rows_ - first_, std::max<std::uint64_t>(1, kBlock / RowBytes()));
  const std::uint64_t bytes = read_rows_ * size_;
  block_.resize(bytes * columns_);
  for (std::uint64_t i = 0; i < columns_; ++i) {
    in_.seekg(data_ + static_cast<std::streamoff>((i * rows_ + first_) * size_));
    in_.read(block_.data() + i * bytes, static_cast<std::streamsize>(bytes));
    if (!in_) return Wrong("it is cut short");
  }
  return {};
}

Result<std::vector<float>> NpyRows::Next() {
  if (fortran_) {
    if (next_ == first_ + read_rows_) TRY(ReadColumns());
  } else {
    block_.resize(RowBytes());
    in_.read(block_.data(), static_cast<std::streamsize>(block_.size()));
    if (!in_) return Wrong("it is cut short");
  }
  const std::uint64_t at = fortran_ ? next_ - first_ : 0;  // the row in block_
  const std::uint64_t step = fortran_ ? read_rows_ : 1;    // from one of its values to the next
  std::vector<float> values(columns_);
  for (std::uint64_t i = 0; i < columns_; ++i) {
    values[i] = Value(block_.data() + (at + i * step) * size_);
  }
  ++next_;
  return values;
}

}  // namespace samovar
