#include "wire/simple_json.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

namespace samovar {
namespace {

constexpr int kMostDepth = 64;
constexpr int kGlance = 24;  // characters

class Scan {
 public:
  explicit Scan(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool Run() {
    while (true) {
      if (!Value()) return false;
      if (opened_) continue;  // its first item is next
      while (depth_ > 0) {
        const char next = Token();
        if (next == ',') {
          if (!InObject()) SkipNumbers();
          break;
        }
        if (next != (InObject() ? '}' : ']')) return false;
        --depth_;
      }
      if (depth_ == 0) return at_ == end_;
      if (InObject() && !Key()) return false;
    }
  }

 private:
  bool InObject() const { return (objects_ >> (depth_ - 1) & 1) != 0; }
  char Peek() const { return at_ < end_ ? *at_ : '\0'; }

  // The next character that is no white space, taken.
  char Token() {
    const char* at = at_;  // kept in a register: a member might be what a char points to
    while (at < end_ && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
    const char next = at < end_ ? *at++ : '\0';
    at_ = at;
    return next;
  }

  bool Value() {
    opened_ = false;
    switch (const char first = Token(); first) {
      case '{':
        return Open(true);
      case '[':
        return Open(false);
      case '"':
        return Text();
      case 't':
        return Word("rue");
      case 'f':
        return Word("alse");
      case 'n':
        return Word("ull");
      default:
        return Number(first);
    }
  }

  bool Open(bool object) {
    const char* before = at_;
    if (Token() == (object ? '}' : ']')) return true;
    at_ = before;
    if (depth_ == kMostDepth) return false;
    const std::uint64_t bit = std::uint64_t{1} << depth_++;
    objects_ = object ? objects_ | bit : objects_ & ~bit;
    opened_ = true;
    return !object || Key();
  }

  bool Key() { return Token() == '"' && Text() && Token() == ':'; }

  bool Text() {  // behind its first quote
    const char* at = at_;
    const char* const end = end_;
    while (at < end) {
      const auto c = static_cast<unsigned char>(*at++);
      if (c == '"') {
        at_ = at;
        return true;
      }
      if (c < 0x20 || c >= 0x80) return false;
      if (c != '\\') continue;
      constexpr std::string_view kEscapes = "\"\\/bfnrt";
      if (at == end || kEscapes.find(*at++) == std::string_view::npos) return false;
    }
    return false;
  }

  bool Word(std::string_view rest) {
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(rest))
      return false;
    at_ += rest.size();
    return true;
  }

  bool Number(char first) {
    if (first == '-') first = at_ < end_ ? *at_++ : '\0';
    if (first < '0' || first > '9') return false;
    if (first != '0') Digits();
    if (Peek() == '.') {
      ++at_;
      if (Digits() == 0) return false;
    }
    return Exponent();
  }

  // Numbers of a list as far as each is short, plain and followed by a comma: the event of a model
  // is these for the most part. Where one ends follows from which characters are digits, with as
  // few steps that wait for another as can be; only the checks look at the characters themselves.
  void SkipNumbers() {
    const char* at = at_;
    while (end_ - at > kGlance + 1) {
      if (*at == ' ') ++at;
      std::uint32_t others = ~DigitsAt(at);
      const std::uint32_t sign = others & 1;
      const bool odd = (sign & (*at != '-' ? 1U : 0U)) != 0;
      const char* const begin = at + sign;
      others >>= sign;
      const int whole = std::countr_zero(others);
      int size = whole;
      if (begin[whole] == '.') {
        size = std::countr_zero(others & (others - 1));
        if (size == whole + 1) break;
      }
      const bool leading_zero = whole > 1 && *begin == '0';
      if (odd || leading_zero || whole == 0 || size >= kGlance - 1 || begin[size] != ',') break;
      at = begin + size + 1;
    }
    at_ = at;
  }

  bool Exponent() {
    if (Peek() != 'e' && Peek() != 'E') return true;
    ++at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    const std::size_t digits = Digits();
    return digits == 1 || digits == 2;
  }

  std::size_t Digits() {
    const char* at = at_;
    while (at < end_ && static_cast<unsigned char>(*at - '0') < 10) ++at;
    return static_cast<std::size_t>(at - std::exchange(at_, at));
  }

  // Which of the next kGlance characters are digits, the first in the lowest bit.
  static std::uint32_t DigitsAt(const char* at) {
    static_assert(std::endian::native == std::endian::little);
    constexpr std::uint64_t kHigh = 0x8080808080808080;
    std::uint32_t found = 0;
    for (int i = 0; i < kGlance / 8; ++i) {
      std::uint64_t word;
      std::memcpy(&word, at + 8 * i, sizeof word);
      word ^= 0x3030303030303030;  // a digit: 0 to 9
      const std::uint64_t digits = ~(((word & ~kHigh) + 0x7676767676767676) | word) & kHigh;
      const std::uint64_t byte = (digits >> 7) * 0x0102040810204080 >> 56;  // its eight high bits
      found |= static_cast<std::uint32_t>(byte) << 8 * i;
    }
    return found;
  }

  const char* at_;
  const char* end_;
  int depth_ = 0;
  bool opened_ = false;        // the value just read is a list or object that has items
  std::uint64_t objects_ = 0;  // by depth: an object, else a list
};

}  // namespace

bool IsSimpleJson(std::string_view text) { return Scan(text).Run(); }

}  // namespace samovar
