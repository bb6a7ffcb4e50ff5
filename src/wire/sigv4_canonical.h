#pragma once
// The texts that SigV4 signs, and the key it signs them with. Private to the sigv4*.cc files.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "wire/sigv4.h"

namespace samovar {

inline constexpr std::string_view kSigV4Algorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

std::string AmzDate(WallTime time);  // "20261124T152116Z"
std::optional<WallTime> ParseAmzDate(std::string_view text);
std::optional<WallTime> ParseHttpDate(std::string_view text);  // "Tue, 24 Nov 2026 15:21:16 GMT"

// The canonical request up to its last line, the payload's hash. Header names in `signed_headers`
// are lower-case, in the order in which they were signed.
std::string CanonicalRequest(const RequestHead& head, std::string_view service,
                             const std::vector<std::string>& signed_headers);
std::string JoinNames(const std::vector<std::string>& names);  // "host;x-amz-date"
std::string ScopeText(const CredentialScope& scope);           // "20261124/us-east-1/..."

Digest DeriveSigningKey(std::string_view secret, const CredentialScope& scope);
std::string Signature(const Digest& key, std::string_view amz_date, const CredentialScope& scope,
                      std::string_view canonical_request);

// A lower-case copy.
std::string Lowered(std::string_view text);

}  // namespace samovar
