#include "wire/utf8.h"

#include <cstdint>
#include <cstring>

namespace samovar {
namespace {

// Length of the sequence that starts with `lead`, and the bounds of its second byte; 0 for none.
struct Sequence {
  std::size_t length;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
};

Sequence SequenceOf(unsigned char lead) {
  if (lead < 0x80) return {1};
  if (lead < 0xC2) return {0};
  if (lead < 0xE0) return {2};
  if (lead == 0xE0) return {3, 0xA0};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3};
  if (lead == 0xF0) return {4, 0x90};
  if (lead < 0xF4) return {4};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    if (i + 8 <= bytes.size()) {  // eight ASCII bytes at once
      std::uint64_t word;
      std::memcpy(&word, bytes.data() + i, 8);
      if ((word & 0x8080808080808080u) == 0) {
        i += 8;
        continue;
      }
    }
    Sequence sequence = SequenceOf(static_cast<unsigned char>(bytes[i]));
    if (sequence.length == 0 || i + sequence.length > bytes.size()) return false;
    for (std::size_t k = 1; k < sequence.length; ++k) {
      auto byte = static_cast<unsigned char>(bytes[i + k]);
      unsigned char low = k == 1 ? sequence.low : 0x80;
      unsigned char high = k == 1 ? sequence.high : 0xBF;
      if (byte < low || byte > high) return false;
    }
    i += sequence.length;
  }
  return true;
}

std::string AsUtf8(std::string bytes) {
  if (IsUtf8(bytes)) return bytes;
  std::string text;
  for (char c : bytes) {
    if (static_cast<unsigned char>(c) < 0x80) {
      text += c;
    } else {
      text += "\uFFFD";
    }
  }
  return text;
}

std::size_t Utf8Length(std::string_view text) {
  std::size_t n = 0;
  for (char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

}  // namespace samovar
