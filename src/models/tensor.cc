#include "models/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

namespace samovar {
namespace {

std::size_t RowCount(const Tensor& tensor) {  // elements of one row
  std::size_t count = 1;
  for (std::size_t i = 1; i < tensor.shape.size(); ++i) {
    count *= static_cast<std::size_t>(tensor.shape[i]);
  }
  return count;
}

}  // namespace

std::optional<std::size_t> ElementCount(const Shape& shape) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 16;
  std::uint64_t count = 1;
  bool empty = false;
  for (std::int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    if (dimension == 0) {
      empty = true;
      continue;
    }
    if (count > kMost / static_cast<std::uint64_t>(dimension)) return std::nullopt;
    count *= static_cast<std::uint64_t>(dimension);
  }
  return empty ? 0 : count;
}

std::string ShapeText(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

Tensor Tensor::Of(ElementType type, Shape shape) {
  Tensor tensor{type, std::move(shape), {}, {}};
  if (tensor.IsText()) {
    tensor.strings.resize(tensor.Count());
  } else {
    tensor.bytes.resize(BytesFor(type, tensor.Count()));
  }
  return tensor;
}

bool ValueInfo::Batches() const {
  return kind == Value::Kind::kTensor && !may_be_none && shape && !shape->empty() &&
         shape->front() < 0;
}

bool RowsAreWhole(const Tensor& tensor) {
  return tensor.IsText() || RowCount(tensor) * BitsOf(tensor.type) % 8 == 0;
}

Tensor SliceRows(const Tensor& tensor, std::size_t first, std::size_t rows) {
  const std::size_t row = RowCount(tensor);
  Tensor slice{tensor.type, tensor.shape, {}, {}};
  slice.shape[0] = static_cast<std::int64_t>(rows);
  if (tensor.IsText()) {
    const auto begin = tensor.strings.begin() + static_cast<std::ptrdiff_t>(first * row);
    slice.strings.assign(begin, begin + static_cast<std::ptrdiff_t>(rows * row));
  } else {
    const auto at = [&](std::size_t n) {
      return tensor.bytes.begin() + static_cast<std::ptrdiff_t>(BytesFor(tensor.type, n * row));
    };
    slice.bytes.assign(at(first), at(first + rows));
  }
  return slice;
}

Tensor JoinRows(const std::vector<const Tensor*>& parts) {
  Tensor joined{parts.front()->type, parts.front()->shape, {}, {}};
  joined.shape[0] = 0;
  for (const Tensor* part : parts) joined.shape[0] += part->shape[0];
  joined.bytes.reserve(BytesFor(joined.type, joined.Count()));
  for (const Tensor* part : parts) {
    joined.bytes.insert(joined.bytes.end(), part->bytes.begin(), part->bytes.end());
    joined.strings.insert(joined.strings.end(), part->strings.begin(), part->strings.end());
  }
  return joined;
}

}  // namespace samovar
