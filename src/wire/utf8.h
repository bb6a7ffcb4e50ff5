#pragma once
// UTF-8: whether bytes are it, and how many characters they hold.
// Source   RFC 3629 (no surrogates, nothing above U+10FFFF, no overlong forms).

#include <cstddef>
#include <string>
#include <string_view>

namespace samovar {

bool IsUtf8(std::string_view bytes);
// The same where it is UTF-8; else with U+FFFD for each byte that is no ASCII: what an error quotes
// of a request may be anything, and JSON is UTF-8.
std::string AsUtf8(std::string bytes);
// Characters of valid UTF-8.
std::size_t Utf8Length(std::string_view text);

}  // namespace samovar
