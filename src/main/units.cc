// Sizes and durations as people write them (declared in config.h).
#include <charconv>
#include <cmath>
#include <limits>

#include "main/config.h"

namespace samovar {

namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Takes a decimal number off the front; nullopt where there is none.
std::optional<double> TakeNumber(std::string_view& text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(value) || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

struct SizeUnit {
  std::string_view name;
  double bytes;
};
constexpr SizeUnit kSizeUnits[] = {
    {"", 1},         {"B", 1},       {"K", 0x1p10},   {"KB", 0x1p10},  {"KiB", 0x1p10},
    {"M", 0x1p20},   {"MB", 0x1p20}, {"MiB", 0x1p20}, {"G", 0x1p30},   {"GB", 0x1p30},
    {"GiB", 0x1p30}, {"T", 0x1p40},  {"TB", 0x1p40},  {"TiB", 0x1p40},
};

struct TimeUnit {
  std::string_view name;
  double milliseconds;
};
constexpr TimeUnit kTimeUnits[] = {
    {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};

}  // namespace

std::optional<Bytes> ParseSize(std::string_view text) {
  text = Trim(text);
  const auto number = TakeNumber(text);
  if (!number) return std::nullopt;
  text = Trim(text);
  for (const SizeUnit& unit : kSizeUnits) {
    if (text != unit.name) continue;
    const double bytes = std::round(*number * unit.bytes);
    if (bytes >= 0x1p63) return std::nullopt;
    return Bytes{static_cast<std::uint64_t>(bytes)};
  }
  return std::nullopt;
}

std::string ShowSize(Bytes size) {
  constexpr std::string_view kNames[] = {"B", "KB", "MB", "GB", "TB"};
  std::uint64_t count = size.count;
  int unit = 0;
  while (unit < 4 && count != 0 && count % 1024 == 0) {
    count /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", count, unit == 0 ? "" : kNames[unit]);
}

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  text = Trim(text);
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return std::nullopt;
  double total = 0;
  double smallest = std::numeric_limits<double>::max();  // units go from large to small, once each
  while (!text.empty()) {
    const auto number = TakeNumber(text);
    if (!number) return std::nullopt;
    const TimeUnit* found = nullptr;
    for (const TimeUnit& unit : kTimeUnits) {
      if (text.starts_with(unit.name)) {
        found = &unit;
        break;
      }
    }
    if (found == nullptr || found->milliseconds >= smallest) return std::nullopt;
    smallest = found->milliseconds;
    total += *number * found->milliseconds;
    text.remove_prefix(found->name.size());
  }
  if (total > 3650.0 * 86400e3) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::round(total)));
}

std::string ShowDuration(std::chrono::milliseconds duration) {
  std::int64_t left = duration.count();
  if (left == 0) return "0s";
  std::string out;
  for (int i = 4; i >= 0; --i) {
    const auto unit = static_cast<std::int64_t>(kTimeUnits[i].milliseconds);
    if (left >= unit) out += fmt::format("{}{}", left / unit, kTimeUnits[i].name);
    left %= unit;
  }
  return out;
}

}  // namespace samovar
