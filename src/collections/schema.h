#pragma once
// Schema: what a collection is made with and keeps: dimension, metric, how vectors are stored.
// Errors   kInvalid, naming the field.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

enum class Metric : std::uint8_t { kCosine = 0, kDot = 1, kL2 = 2 };
// i8: each vector with a scale of its own, so that its largest component is 127.
enum class Storage : std::uint8_t { kF32 = 0, kF16 = 1, kI8 = 2 };

struct Schema {
  std::uint32_t dimension = 0;  // 1 to kMaxDimension
  Metric metric = Metric::kCosine;
  Storage storage = Storage::kF32;

  std::size_t RowBytes() const;  // of a stored vector, padded with zeros to layout::kRowAlignment
  friend bool operator==(const Schema&, const Schema&) = default;
};

inline constexpr std::uint32_t kMaxDimension = 16'384;
inline constexpr std::size_t kMaxId = 512;
inline constexpr std::size_t kMaxAttributes = 64 << 10;

std::string_view MetricName(Metric metric);
std::string_view StorageName(Storage storage);
std::optional<Metric> ParseMetric(std::string_view name);
std::optional<Storage> ParseStorage(std::string_view name);

// 1 to 64 of a-z 0-9 - _, beginning with a letter or digit.
Result<void> CheckCollectionName(std::string_view name);
// "films@123": a generation of a collection that is kept.
std::string PinName(const std::string& name, std::uint64_t generation);
bool IsPinName(std::string_view name);
Result<void> CheckSchema(const Schema& schema);
Result<void> CheckRowId(std::string_view id);

std::size_t ElementSize(Storage storage);

}  // namespace samovar
