#include "wire/simple_json.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace samovar {
namespace {

constexpr int kMostDepth = 64;

class Scan {
 public:
  explicit Scan(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool Run() {
    while (true) {
      if (!Value()) return false;
      if (opened_) continue;  // its first item is next
      while (depth_ > 0) {
        const char next = Token();
        if (next == ',') break;
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

  std::size_t Digits() {
    const char* at = at_;
    const char* const end = end_;
    // Eight at a time: an event of a model is digits for the most part.
    while (end - at >= 8) {
      static_assert(std::endian::native == std::endian::little);
      std::uint64_t word;
      std::memcpy(&word, at, sizeof word);
      word ^= 0x3030303030303030;  // a digit: 0 to 9
      // The lowest high bit stands in the first that is none; what it carries goes behind it.
      const std::uint64_t others = ((word + 0x7676767676767676) | word) & 0x8080808080808080;
      at += others == 0 ? 8 : std::countr_zero(others) / 8;
      if (others != 0) break;
    }
    while (at < end && static_cast<unsigned char>(*at - '0') < 10) ++at;
    const auto count = static_cast<std::size_t>(at - at_);
    at_ = at;
    return count;
  }

  bool Number(char first) {
    if (first == '-') first = at_ < end_ ? *at_++ : '\0';
    if (first < '0' || first > '9') return false;
    if (first != '0') Digits();
    if (Peek() == '.') {
      ++at_;
      if (Digits() == 0) return false;
    }
    if (Peek() != 'e' && Peek() != 'E') return true;
    ++at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    const std::size_t digits = Digits();
    return digits == 1 || digits == 2;
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
