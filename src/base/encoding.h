#pragma once
// Text forms of bytes: hex, base64, percent-encoding, and the time stamps that AWS writes.
// Errors   Decoders return nullopt for anything malformed; they never guess.
// Source   RFC 4648 (base64), RFC 3986 (percent), AWS SigV4 (which characters stay as they are).

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace samovar {

std::string HexEncode(std::string_view bytes);
std::optional<std::string> HexDecode(std::string_view hex);

std::string Base64Encode(std::string_view bytes);
std::optional<std::string> Base64Decode(std::string_view text);  // strict: padded, no white space

// Everything but A-Z a-z 0-9 - _ . ~ becomes %XX; '/' stays when keep_slash.
std::string PercentEncode(std::string_view text, bool keep_slash = false);
std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space = false);

// "2026-11-24T15:21:16.123+0000", the form of Lambda's LastModified.
std::string LambdaTimestamp(std::chrono::system_clock::time_point time);
// "2026-11-24T15:21:16.123Z", ISO 8601 with milliseconds.
std::string IsoTimestamp(std::chrono::system_clock::time_point time);

}  // namespace samovar
