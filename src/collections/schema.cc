#include "collections/schema.h"

#include <algorithm>

#include "collections/layout.h"

namespace samovar {

std::size_t ElementSize(Storage storage) {
  return storage == Storage::kF32 ? 4 : storage == Storage::kF16 ? 2 : 1;
}

std::size_t Schema::RowBytes() const {
  const std::size_t bytes = dimension * ElementSize(storage);
  return (bytes + layout::kRowAlignment - 1) / layout::kRowAlignment * layout::kRowAlignment;
}

std::string_view MetricName(Metric metric) {
  return metric == Metric::kCosine ? "cosine" : metric == Metric::kDot ? "dot" : "l2";
}

std::string_view StorageName(Storage storage) {
  return storage == Storage::kF32 ? "f32" : storage == Storage::kF16 ? "f16" : "i8";
}

std::optional<Metric> ParseMetric(std::string_view name) {
  for (auto metric : {Metric::kCosine, Metric::kDot, Metric::kL2}) {
    if (MetricName(metric) == name) return metric;
  }
  return std::nullopt;
}

std::optional<Storage> ParseStorage(std::string_view name) {
  for (auto storage : {Storage::kF32, Storage::kF16, Storage::kI8}) {
    if (StorageName(storage) == name) return storage;
  }
  return std::nullopt;
}

Result<void> CheckCollectionName(std::string_view name) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool fits =
      !name.empty() && name.size() <= 64 && plain(name.front()) &&
      std::ranges::all_of(name, [&](char c) { return plain(c) || c == '-' || c == '_'; });
  if (fits) return {};
  return Fail(Code::kInvalid,
              "name: expected 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit");
}

std::string PinName(const std::string& name, std::uint64_t generation) {
  return name + "@" + std::to_string(generation);
}

bool IsPinName(std::string_view name) {
  const std::size_t at = name.find('@');
  if (at == name.npos || !CheckCollectionName(name.substr(0, at))) return false;
  const auto digits = name.substr(at + 1);
  return !digits.empty() && digits.size() <= 19 &&
         std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
}

Result<void> CheckSchema(const Schema& schema) {
  if (schema.dimension >= 1 && schema.dimension <= kMaxDimension) return {};
  return Fail(Code::kInvalid,
              "dimension: expected a number from 1 to " + std::to_string(kMaxDimension));
}

Result<void> CheckRowId(std::string_view id) {
  const bool printable = std::ranges::all_of(
      id, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
  if (!id.empty() && id.size() <= kMaxId && printable) return {};
  return Fail(Code::kInvalid,
              "id: expected 1 to " + std::to_string(kMaxId) + " bytes without control characters");
}

}  // namespace samovar
