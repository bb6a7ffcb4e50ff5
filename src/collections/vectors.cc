#include "collections/vectors.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "collections/kernel.h"

namespace samovar {
namespace {

// As stored: eight and sixteen at once.
struct F32 {
  using Packed8 = Floats8;
  using Packed16 = Floats16;
  static constexpr std::size_t kSize = 4;
};
struct F16 {
  using Packed8 = _Float16 __attribute__((vector_size(16), aligned(2)));
  using Packed16 = _Float16 __attribute__((vector_size(32), aligned(2)));
  static constexpr std::size_t kSize = 2;
};
struct I8 {
  using Packed8 = std::int8_t __attribute__((vector_size(8), aligned(1)));
  using Packed16 = std::int8_t __attribute__((vector_size(16), aligned(1)));
  static constexpr std::size_t kSize = 1;
};

template <class Packed, bool kSquaredDistance, class Floats>
SAMOVAR_INLINE void Add(const char* row, const float* query, Floats& sum) {
  Packed packed;
  std::memcpy(&packed, row, sizeof(packed));
  const Floats values = __builtin_convertvector(packed, Floats);
  Floats q;
  std::memcpy(&q, query, sizeof(q));
  if constexpr (kSquaredDistance) {
    const Floats difference = values - q;
    sum += difference * difference;
  } else {
    sum += values * q;
  }
}

// Rows: those that follow each other from `base`, or those that `list` names.
struct Rows {
  const char* base;
  const std::uint32_t* list;
  std::size_t count;
  std::size_t row_bytes;

  SAMOVAR_INLINE const char* At(std::size_t i) const {
    return base + (list ? list[i] : i) * row_bytes;
  }
};

// Rows in no order: the processor does not foresee them.
constexpr std::size_t kAhead = 3;
SAMOVAR_INLINE void Prefetch(const Rows& rows, std::size_t i) {
  if (i >= rows.count) return;
  const char* at = rows.At(i);
  for (std::size_t line = 0; line < rows.row_bytes; line += 64) __builtin_prefetch(at + line);
}

template <class Kind, bool kSquaredDistance>
SAMOVAR_INLINE void Scan(const Rows& rows, const float* query, float* out) {
  constexpr std::size_t kSize = Kind::kSize;
  const std::size_t lanes = rows.row_bytes / kSize;  // a multiple of 8
  for (std::size_t i = 0; rows.list && i < kAhead; ++i) Prefetch(rows, i);
  for (std::size_t row = 0; row < rows.count; ++row) {
    if (rows.list) Prefetch(rows, row + kAhead);
    const char* at = rows.At(row);
    Floats16 sums[4] = {};
    std::size_t i = 0;
    for (; i + 64 <= lanes; i += 64) {
      for (std::size_t j = 0; j < 4; ++j) {
        const std::size_t from = i + 16 * j;
        Add<typename Kind::Packed16, kSquaredDistance>(at + from * kSize, query + from, sums[j]);
      }
    }
    for (; i + 16 <= lanes; i += 16) {
      Add<typename Kind::Packed16, kSquaredDistance>(at + i * kSize, query + i, sums[0]);
    }
    const Floats16 sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    Floats8 half = __builtin_shufflevector(sum, sum, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(sum, sum, 8, 9, 10, 11, 12, 13, 14, 15);
    if (i < lanes) {
      Add<typename Kind::Packed8, kSquaredDistance>(at + i * kSize, query + i, half);
    }
    out[row] =
        ((half[0] + half[4]) + (half[1] + half[5])) + ((half[2] + half[6]) + (half[3] + half[7]));
  }
}

SAMOVAR_KERNEL void DotF32(const Rows& rows, const float* query, float* out) {
  Scan<F32, false>(rows, query, out);
}
SAMOVAR_KERNEL void DotF16(const Rows& rows, const float* query, float* out) {
  Scan<F16, false>(rows, query, out);
}
SAMOVAR_KERNEL void DotI8(const Rows& rows, const float* query, float* out) {
  Scan<I8, false>(rows, query, out);
}
SAMOVAR_KERNEL void DistanceF32(const Rows& rows, const float* query, float* out) {
  Scan<F32, true>(rows, query, out);
}
SAMOVAR_KERNEL void DistanceF16(const Rows& rows, const float* query, float* out) {
  Scan<F16, true>(rows, query, out);
}

SAMOVAR_KERNEL void DecodeF16(const char* row, std::size_t count, float* values) {
  for (std::size_t i = 0; i < count; ++i) {
    _Float16 half{};
    std::memcpy(&half, row + 2 * i, 2);
    values[i] = static_cast<float>(half);
  }
}
SAMOVAR_KERNEL void DecodeI8(const char* row, std::size_t count, float scale, float* values) {
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = scale * static_cast<float>(static_cast<std::int8_t>(row[i]));
  }
}

void Dot(Storage storage, const Rows& rows, const float* query, float* out) {
  if (storage == Storage::kF32) return DotF32(rows, query, out);
  if (storage == Storage::kF16) return DotF16(rows, query, out);
  DotI8(rows, query, out);
}

Result<void> CheckValues(const Schema& schema, std::span<const float> values) {
  if (values.size() != schema.dimension) {
    return Fail(Code::kInvalid, "vector: expected " + std::to_string(schema.dimension) +
                                    " numbers, got " + std::to_string(values.size()));
  }
  const float most = schema.storage == Storage::kF16 ? 65'504.0F : 1e18F;
  for (float value : values) {
    if (!(std::abs(value) <= most)) {
      return Fail(Code::kInvalid, "vector: a number is not finite or too large for " +
                                      std::string(StorageName(schema.storage)));
    }
  }
  return {};
}

}  // namespace

float InverseNorm(std::span<const float> values) {
  double square = 0;
  for (float value : values) square += static_cast<double>(value) * value;
  return square > 0 ? static_cast<float>(1 / std::sqrt(square)) : 0;
}

Result<EncodedVector> EncodeVector(const Schema& schema, std::span<const float> values) {
  TRY(CheckValues(schema, values));
  EncodedVector out;
  out.bytes.assign(schema.RowBytes(), '\0');
  if (schema.storage == Storage::kF32) {
    std::memcpy(out.bytes.data(), values.data(), values.size_bytes());
  } else if (schema.storage == Storage::kF16) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto half = static_cast<_Float16>(values[i]);
      std::memcpy(out.bytes.data() + 2 * i, &half, 2);
    }
  } else {
    float largest = 0;
    for (float value : values) largest = std::max(largest, std::abs(value));
    // Whole numbers that fit are kept as they are, so bytes come back the same.
    const bool bytes = std::ranges::all_of(
        values, [](float v) { return v >= -128 && v <= 127 && v == std::nearbyint(v); });
    out.scale = bytes || largest == 0 ? 1 : largest / 127;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float steps = std::clamp(std::nearbyint(values[i] / out.scale), -128.0F, 127.0F);
      out.bytes[i] = static_cast<char>(static_cast<std::int8_t>(steps));
    }
  }
  out.inverse_norm = InverseNorm(DecodeVector(schema, out.bytes.data(), out.scale));
  return out;
}

void DecodeVector(const Schema& schema, const void* row, float scale, std::span<float> values) {
  const auto* bytes = static_cast<const char*>(row);
  if (schema.storage == Storage::kF32) {
    std::memcpy(values.data(), bytes, schema.dimension * sizeof(float));
  } else if (schema.storage == Storage::kF16) {
    DecodeF16(bytes, schema.dimension, values.data());
  } else {
    DecodeI8(bytes, schema.dimension, scale, values.data());
  }
}

std::vector<float> DecodeVector(const Schema& schema, const void* row, float scale) {
  std::vector<float> values(schema.dimension);
  DecodeVector(schema, row, scale, values);
  return values;
}

QueryVector::QueryVector(const Schema& schema)
    : schema_(schema), values_(schema.RowBytes() / ElementSize(schema.storage)) {}

Result<QueryVector> QueryVector::Of(const Schema& schema, std::span<const float> values) {
  TRY(CheckValues({schema.dimension, schema.metric, Storage::kF32}, values));
  QueryVector query(schema);
  std::ranges::copy(values, query.values_.begin());
  query.inverse_norm_ = InverseNorm(values);
  for (float value : values) query.square_ += value * value;
  return query;
}

void QueryVector::Become(const void* row, const layout::Facts& facts) {
  DecodeVector(schema_, row, facts.scale, values_);
  inverse_norm_ = facts.inverse_norm;
  const float norm = inverse_norm_ > 0 ? 1 / inverse_norm_ : 0;
  square_ = norm * norm;
}

void QueryVector::Rank(const void* rows, std::size_t count, const layout::Facts* facts,
                       float* out) const {
  RankRows(rows, nullptr, count, facts, out);
}

void QueryVector::RankRows(const void* base, const std::uint32_t* list, std::size_t count,
                           const layout::Facts* facts, float* out) const {
  const Rows rows{static_cast<const char*>(base), list, count, schema_.RowBytes()};
  const float* query = values_.data();
  if (schema_.metric == Metric::kL2 && schema_.storage != Storage::kI8) {
    auto* kernel = schema_.storage == Storage::kF32 ? DistanceF32 : DistanceF16;
    kernel(rows, query, out);
    for (std::size_t i = 0; i < count; ++i) out[i] = -out[i];
    return;
  }
  Dot(schema_.storage, rows, query, out);
  if (schema_.metric == Metric::kDot && schema_.storage != Storage::kI8) return;
  for (std::size_t i = 0; i < count; ++i) {
    const layout::Facts& its = facts[list ? list[i] : i];
    const float dot = out[i] * its.scale;
    if (schema_.metric == Metric::kCosine) {
      out[i] = dot * its.inverse_norm * inverse_norm_;
    } else if (schema_.metric == Metric::kL2) {  // |q - r|^2 of what is stored in steps
      const float norm = its.inverse_norm > 0 ? 1 / its.inverse_norm : 0;
      out[i] = -std::max(0.0F, square_ - 2 * dot + norm * norm);
    } else {
      out[i] = dot;
    }
  }
}

void QueryVector::Ahead(const void* base, std::uint32_t row) const {
  Prefetch({static_cast<const char*>(base), &row, 1, schema_.RowBytes()}, 0);
}

float QueryVector::ToScore(float rank) const {
  return schema_.metric == Metric::kL2 ? std::sqrt(-rank) : rank;
}

}  // namespace samovar
