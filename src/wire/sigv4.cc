#include "wire/sigv4.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>

#include "wire/sigv4_canonical.h"

namespace samovar {
namespace {

constexpr std::chrono::minutes kSkew{5};
constexpr std::chrono::seconds kMaxExpires{7 * 24 * 3600};
constexpr std::size_t kMaxSignedHeaders = 100;

// What a request says of its signature, wherever it says it.
struct Claim {
  std::string_view credential, signed_headers, signature;
  std::string amz_date;
  std::optional<WallTime> time;
  std::optional<std::chrono::seconds> expires;  // of a presigned URL
  Fields query;                                 // what the views point into, when presigned
};

std::unexpected<Error> Denied(std::string message, std::string_view name) {
  return Fail(Code::kDenied, std::move(message), name);
}
std::unexpected<Error> Incomplete(std::string message) {
  return Denied(std::move(message), "IncompleteSignatureException");
}
std::unexpected<Error> Invalid(std::string message) {
  return Denied(std::move(message), "InvalidSignatureException");
}
std::unexpected<Error> DoesNotMatch() {
  return Invalid(
      "The request signature we calculated does not match the signature you provided. Check your "
      "AWS Secret Access Key and signing method. Consult the service documentation for details.");
}

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

void ReadAuthorization(std::string_view value, Claim& claim) {
  value.remove_prefix(kSigV4Algorithm.size());
  while (!value.empty()) {
    std::size_t end = std::min(value.find(','), value.size());
    std::string_view part = Trim(value.substr(0, end));
    value.remove_prefix(std::min(end + 1, value.size()));
    std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view name = part.substr(0, equals);
    std::string_view text = part.substr(equals + 1);
    if (name == "Credential") claim.credential = text;
    if (name == "SignedHeaders") claim.signed_headers = text;
    if (name == "Signature") claim.signature = text;
  }
}

void ReadHeaderDate(FieldsView headers, Claim& claim) {
  std::string_view text = FieldOr(headers, "x-amz-date");
  if (text.empty()) text = FieldOr(headers, "date");
  claim.time = ParseAmzDate(text);
  if (!claim.time) claim.time = ParseHttpDate(text);
  if (claim.time) claim.amz_date = AmzDate(*claim.time);
}

void ReadPresigned(Claim& claim) {
  for (const auto& [name, value] : claim.query) {
    if (name == "X-Amz-Credential") claim.credential = value;
    if (name == "X-Amz-SignedHeaders") claim.signed_headers = value;
    if (name == "X-Amz-Signature") claim.signature = value;
    if (name == "X-Amz-Date") {
      claim.amz_date = value;
      claim.time = ParseAmzDate(value);
    }
    if (name == "X-Amz-Expires") {
      int seconds = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
      bool good = error == std::errc() && end == value.data() + value.size();
      claim.expires = std::chrono::seconds(good ? seconds : 0);
    }
  }
}

bool IsPresigned(std::string_view raw_query) {
  return raw_query.find("X-Amz-Algorithm=") != std::string_view::npos ||
         raw_query.find("X-Amz-Credential=") != std::string_view::npos;
}

std::optional<CredentialScope> ParseScope(std::string_view credential) {
  std::array<std::string_view, 5> parts;
  for (std::size_t i = parts.size(); i-- > 0;) {  // an access key may hold slashes, the rest not
    std::size_t slash = i == 0 ? std::string_view::npos : credential.rfind('/');
    if (i > 0 && slash == std::string_view::npos) return std::nullopt;
    parts[i] = i == 0 ? credential : credential.substr(slash + 1);
    if (parts[i].empty()) return std::nullopt;
    if (i > 0) credential = credential.substr(0, slash);
  }
  if (parts[4] != "aws4_request") return std::nullopt;
  return CredentialScope{.access_key_id = std::string(parts[0]),
                         .date = std::string(parts[1]),
                         .region = std::string(parts[2]),
                         .service = std::string(parts[3])};
}

Result<Claim> ReadClaim(const RequestHead& head) {
  Claim claim;
  std::string_view authorization = FieldOr(head.headers, "authorization");
  std::string_view place = "Authorization header requires '{}' parameter.";
  if (!authorization.empty()) {
    if (!authorization.starts_with(kSigV4Algorithm)) {
      return Incomplete("Authorization header requires the algorithm AWS4-HMAC-SHA256.");
    }
    ReadAuthorization(authorization, claim);
    ReadHeaderDate(head.headers, claim);
  } else if (IsPresigned(head.raw_query)) {
    claim.query = ParseQuery(head.raw_query);
    place = "AWS query-string parameters must include 'X-Amz-{}'.";
    ReadPresigned(claim);
  } else {
    return Denied("Missing Authentication Token", "MissingAuthenticationTokenException");
  }
  std::string missing;
  auto need = [&](bool there, std::string_view what) {
    if (there) return;
    if (!missing.empty()) missing += ' ';
    missing += fmt::format(fmt::runtime(place), what);
  };
  need(!claim.credential.empty(), "Credential");
  need(!claim.signature.empty(), "Signature");
  need(!claim.signed_headers.empty(), "SignedHeaders");
  if (!claim.query.empty()) {
    need(claim.time.has_value(), "Date");
    need(claim.expires.has_value(), "Expires");
  } else if (!claim.time) {
    missing += missing.empty() ? "" : " ";
    missing +=
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
  }
  if (!missing.empty()) return Incomplete(std::move(missing));
  return claim;
}

Result<void> CheckTime(const Claim& claim, const CredentialScope& scope, WallTime now) {
  if (claim.amz_date.substr(0, 8) != scope.date) {
    return Invalid(fmt::format(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'{}' != '{}', from '{}'.",
        scope.date, claim.amz_date.substr(0, 8), claim.amz_date));
  }
  if (*claim.time > now + kSkew) {
    return Invalid(fmt::format("Signature not yet current: {} is still later than {} ({} + 5 min.)",
                               claim.amz_date, AmzDate(now + kSkew), AmzDate(now)));
  }
  if (!claim.expires) {
    if (*claim.time >= now - kSkew) return {};
    return Invalid(fmt::format("Signature expired: {} is now earlier than {} ({} - 5 min.)",
                               claim.amz_date, AmzDate(now - kSkew), AmzDate(now)));
  }
  if (*claim.expires < std::chrono::seconds(1) || *claim.expires > kMaxExpires) {
    return Incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800.");
  }
  if (*claim.time + *claim.expires >= now) return {};
  return Invalid(fmt::format("Signature expired: {} is now earlier than {} ({} - {} sec.)",
                             claim.amz_date, AmzDate(now - *claim.expires), AmzDate(now),
                             claim.expires->count()));
}

Result<std::vector<std::string>> SignedNames(std::string_view list, FieldsView headers) {
  std::vector<std::string> names;
  bool host = false;
  while (!list.empty()) {
    std::size_t end = std::min(list.find(';'), list.size());
    std::string name = Lowered(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    host |= name == "host";
    if (FindField(headers, name) == nullptr || names.size() == kMaxSignedHeaders) {
      return DoesNotMatch();
    }
    names.push_back(std::move(name));
  }
  if (!host)
    return Invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  return names;
}

bool IsHash(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool SameText(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// The canonical request's last line where the head tells it, or "" where the body must.
std::string DeclaredPayload(const RequestHead& head, const Claim& claim,
                            const CredentialScope& scope) {
  std::string declared(FieldOr(head.headers, "x-amz-content-sha256"));
  for (const auto& [name, value] : claim.query) {
    if (name == "X-Amz-Content-Sha256") declared = value;
  }
  if (declared.empty() && claim.expires && scope.service == "s3") declared = kUnsignedPayload;
  return declared;
}

}  // namespace

std::optional<CredentialScope> ReadCredentialScope(FieldsView headers, std::string_view raw_query) {
  Claim claim;
  std::string_view authorization = FieldOr(headers, "authorization");
  if (authorization.starts_with(kSigV4Algorithm)) {
    ReadAuthorization(authorization, claim);
  } else if (IsPresigned(raw_query)) {
    claim.query = ParseQuery(raw_query);
    ReadPresigned(claim);
  }
  return ParseScope(claim.credential);
}

const Digest& SigningKeyCache::Get(std::string_view secret, const CredentialScope& scope) {
  std::string name = fmt::format("{}\n{}", ScopeText(scope), secret);
  auto found = keys_.find(name);
  if (found != keys_.end()) return found->second;
  if (keys_.size() >= kMaxKeys) keys_.clear();  // a day's end, or someone trying scopes
  return keys_.emplace(std::move(name), DeriveSigningKey(secret, scope)).first->second;
}

Result<SigV4Verification> SigV4Verification::Begin(const RequestHead& head,
                                                   const SecretLookup& secrets,
                                                   SigningKeyCache& keys, WallTime now) {
  TRY(Claim claim, ReadClaim(head));
  auto scope = ParseScope(claim.credential);
  if (!scope) {
    return Incomplete(
        fmt::format("Credential must have exactly 5 slash-delimited elements, e.g. "
                    "keyid/date/region/service/term, got '{}'",
                    claim.credential));
  }
  auto secret = secrets(scope->access_key_id);
  if (!secret) {
    return Denied("The security token included in the request is invalid.",
                  "UnrecognizedClientException");
  }
  TRY(CheckTime(claim, *scope, now));
  TRY(std::vector<std::string> names, SignedNames(claim.signed_headers, head.headers));

  SigV4Verification verification;
  verification.key_ = keys.Get(*secret, *scope);
  verification.amz_date_ = claim.amz_date;
  verification.signature_ = claim.signature;
  verification.canonical_request_ = CanonicalRequest(head, scope->service, names);
  verification.scope_ = *std::move(scope);
  std::string declared = DeclaredPayload(head, claim, verification.scope_);
  if (declared.empty()) return verification;
  if (declared != kUnsignedPayload && !IsHash(declared)) {
    return Invalid("X-Amz-Content-Sha256 must be UNSIGNED-PAYLOAD or a SHA-256 hash.");
  }
  verification.needs_body_hash_ = declared != kUnsignedPayload;
  TRY(verification.CheckSignature(declared));
  verification.declared_hash_ = std::move(declared);
  return verification;
}

Result<void> SigV4Verification::CheckSignature(std::string_view payload) const {
  std::string canonical = canonical_request_ + std::string(payload);
  if (SameText(Signature(key_, amz_date_, scope_, canonical), signature_)) return {};
  return DoesNotMatch();
}

Result<void> SigV4Verification::Finish(std::string_view body_sha256_hex) const {
  if (!needs_body_hash_) return {};
  if (declared_hash_.empty()) return CheckSignature(body_sha256_hex);
  if (!SameText(declared_hash_, body_sha256_hex)) return DoesNotMatch();
  return {};
}

}  // namespace samovar
