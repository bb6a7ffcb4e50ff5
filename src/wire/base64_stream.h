#pragma once
// Base64Stream: strict base64 that comes in pieces, decoded as it comes.
// Errors   False for a character outside the alphabet, for anything after padding, and (at the end)
//          for a length that is no multiple of four. Source: RFC 4648, section 4.

#include <cstdint>
#include <string>
#include <string_view>

namespace samovar {

class Base64Stream {
 public:
  // Appends what can be decoded to `out`.
  bool Feed(std::string_view text, std::string& out);
  bool AtEnd() const { return count_ == 0; }  // whether the text may end here

 private:
  bool FeedOne(char c, std::string& out);

  std::uint32_t bits_ = 0;
  unsigned count_ = 0;    // characters of the group under way
  unsigned padding_ = 0;  // '=' seen
};

}  // namespace samovar
