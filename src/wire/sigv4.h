#pragma once
// SigV4: verifies and makes AWS Signature Version 4, in headers and in presigned URLs.
//
// How      Two steps, as a body may be 10 GiB: Begin() reads the head, finds the key and checks the
//          time; Finish() takes the body's SHA-256. With X-Amz-Content-Sha256 in the head the
//          signature is checked in Begin() already, so a forged upload ends before its body is
//          read. A session token counts only as a signed header.
// Units    Times are wall-clock. Skew 5 minutes; a presigned URL lives 1 s to 7 days.
// Errors   kDenied with AWS's names: MissingAuthenticationTokenException,
//          IncompleteSignatureException, UnrecognizedClientException, InvalidSignatureException.
//          The path is canonicalised twice-encoded and without dot segments, except for S3.
// Threads  SigningKeyCache is for one thread; the rest is values.
// Source   docs.aws.amazon.com "Create a signed AWS API request"; botocore.auth.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "wire/fields.h"
#include "wire/sha256.h"

namespace samovar {

struct RequestHead {
  std::string_view method;
  std::string_view path;       // as sent, still encoded
  std::string_view raw_query;  // after '?', or ""
  FieldsView headers;
};

// AKID/20261124/us-east-1/lambda/aws4_request
struct CredentialScope {
  std::string access_key_id;
  std::string date;
  std::string region;
  std::string service;
};

// The scope a request claims, in its Authorization header or query; nullopt where it has none. Says
// which API is meant; proves nothing.
std::optional<CredentialScope> ReadCredentialScope(FieldsView headers, std::string_view raw_query);

// Derived signing keys by (secret, date, region, service); bounded. Owned by whoever verifies.
class SigningKeyCache {
 public:
  const Digest& Get(std::string_view secret, const CredentialScope& scope);

 private:
  static constexpr std::size_t kMaxKeys = 256;
  std::map<std::string, Digest, std::less<>> keys_;
};

using SecretLookup = std::function<std::optional<std::string>(std::string_view access_key_id)>;

// A request whose head was read; Finish() says whether the signature holds.
class SigV4Verification {
 public:
  static Result<SigV4Verification> Begin(const RequestHead& head, const SecretLookup& secrets,
                                         SigningKeyCache& keys, WallTime now);

  const CredentialScope& Scope() const { return scope_; }
  // False where the body is not signed (UNSIGNED-PAYLOAD, S3's presigned URLs): Finish("") will do.
  bool NeedsBodyHash() const { return needs_body_hash_; }
  // Whether the signature itself is proven already, and only the body's hash is to be compared.
  bool HeadProven() const { return !declared_hash_.empty(); }
  Result<void> Finish(std::string_view body_sha256_hex) const;

 private:
  Result<void> CheckSignature(std::string_view payload) const;

  CredentialScope scope_;
  bool needs_body_hash_ = true;
  std::string declared_hash_;      // X-Amz-Content-Sha256, proven by the signature
  std::string canonical_request_;  // all but its last line, the body's hash
  std::string amz_date_;
  std::string signature_;
  Digest key_{};
};

struct SigningCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // or ""
};

// Header fields to add to a request so that it is signed: X-Amz-Date, X-Amz-Security-Token (with a
// token), Authorization. Signs every field of `head.headers` but a few that proxies change;
// `payload_sha256` is a hex hash or "UNSIGNED-PAYLOAD" (then X-Amz-Content-Sha256 must be in the
// headers). REQUIRES: head.headers has Host.
Fields SignRequest(const RequestHead& head, std::string_view payload_sha256,
                   const SigningCredentials& credentials, std::string_view region,
                   std::string_view service, WallTime now);

// The whole query string of a presigned URL for `head` (its own parameters come first).
std::string PresignQuery(const RequestHead& head, const SigningCredentials& credentials,
                         std::string_view region, std::string_view service, WallTime now,
                         std::chrono::seconds expires);

}  // namespace samovar
