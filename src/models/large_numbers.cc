#include "models/large_numbers.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace samovar {
namespace {

template <class Whole>
bool Holds(std::string_view number) {
  Whole value = 0;
  return std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc();
}

bool IsLargeWhole(std::string_view number) {
  const std::string_view digits = number.substr(number.starts_with('-') ? 1 : 0);
  const bool whole = std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  return whole && !digits.empty() && !Holds<std::int64_t>(number) && !Holds<std::uint64_t>(number);
}

// How long the string at the front is, its quotes included.
std::size_t StringLength(std::string_view json) {
  std::size_t at = 1;
  while (at < json.size() && json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return std::min(at + 1, json.size());
}

}  // namespace

std::string LargeNumbersAsFractions(std::string_view json) {
  constexpr std::string_view kOfNumbers = "+-.0123456789eE";
  std::string out;
  while (!json.empty()) {
    std::size_t size = 1;
    bool large = false;
    if (json.front() == '"') {
      size = StringLength(json);
    } else if (json.front() == '-' || (json.front() >= '0' && json.front() <= '9')) {
      size = std::min(json.find_first_not_of(kOfNumbers), json.size());
      large = IsLargeWhole(json.substr(0, size));
    }
    out += json.substr(0, size);
    if (large) out += ".0";
    json.remove_prefix(size);
  }
  return out;
}

}  // namespace samovar
