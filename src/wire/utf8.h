#pragma once
// UTF-8: whether bytes are it, and how many characters they hold.
// Source   RFC 3629 (no surrogates, nothing above U+10FFFF, no overlong forms).

#include <cstddef>
#include <string_view>

namespace samovar {

bool IsUtf8(std::string_view bytes);
// Characters of valid UTF-8.
std::size_t Utf8Length(std::string_view text);

}  // namespace samovar
