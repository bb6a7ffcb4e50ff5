#include "wire/base64_stream.h"

#include <array>

namespace samovar {
namespace {

constexpr std::array<std::int8_t, 256> MakeValues() {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}
constexpr auto kValues = MakeValues();

int ValueOf(char c) { return kValues[static_cast<unsigned char>(c)]; }

}  // namespace

bool Base64Stream::FeedOne(char c, std::string& out) {
  if (c == '=') {
    if (count_ < 2 || padding_ == 2) return false;
    ++padding_;
    bits_ <<= 6;
  } else {
    int value = ValueOf(c);
    if (value < 0 || padding_ > 0) return false;
    bits_ = bits_ << 6 | static_cast<std::uint32_t>(value);
  }
  if (++count_ < 4) return true;
  for (unsigned i = 0; i < 3 - padding_; ++i) out += static_cast<char>(bits_ >> (16 - 8 * i));
  bits_ = 0;
  count_ = 0;
  return true;
}

bool Base64Stream::Feed(std::string_view text, std::string& out) {
  std::size_t i = 0;
  while (count_ != 0 && i < text.size()) {
    if (!FeedOne(text[i++], out)) return false;
  }
  if (padding_ == 0 && count_ == 0) {  // whole groups, while nothing is special
    out.reserve(out.size() + (text.size() - i) / 4 * 3);
    for (; i + 4 <= text.size(); i += 4) {
      int a = ValueOf(text[i]), b = ValueOf(text[i + 1]);
      int c = ValueOf(text[i + 2]), d = ValueOf(text[i + 3]);
      if ((a | b | c | d) < 0) break;
      const char bytes[3] = {static_cast<char>(a << 2 | b >> 4), static_cast<char>(b << 4 | c >> 2),
                             static_cast<char>(c << 6 | d)};
      out.append(bytes, 3);
    }
  }
  for (; i < text.size(); ++i) {
    if (!FeedOne(text[i], out)) return false;
  }
  return true;
}

}  // namespace samovar
