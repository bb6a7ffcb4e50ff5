#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "wire/sigv4.h"
#include "wire/sigv4_canonical.h"

namespace samovar {
namespace {

constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// Fields that proxies and connections change on the way.
constexpr std::array<std::string_view, 6> kNeverSigned = {
    "authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"};

std::vector<std::string> NamesToSign(FieldsView fields) {
  std::vector<std::string> names;
  for (const Field& field : fields) {
    std::string name = Lowered(field.first);
    if (std::ranges::find(kNeverSigned, name) == kNeverSigned.end()) {
      names.push_back(std::move(name));
    }
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

CredentialScope MakeScope(const SigningCredentials& credentials, const std::string& amz_date,
                          std::string_view region, std::string_view service) {
  return {.access_key_id = credentials.access_key_id,
          .date = amz_date.substr(0, 8),
          .region = std::string(region),
          .service = std::string(service)};
}

}  // namespace

Fields SignRequest(const RequestHead& head, std::string_view payload_sha256,
                   const SigningCredentials& credentials, std::string_view region,
                   std::string_view service, WallTime now) {
  std::string amz_date = AmzDate(now);
  CredentialScope scope = MakeScope(credentials, amz_date, region, service);
  Fields added{{"X-Amz-Date", amz_date}};
  if (!credentials.session_token.empty()) {
    added.emplace_back("X-Amz-Security-Token", credentials.session_token);
  }
  Fields all(head.headers.begin(), head.headers.end());
  all.insert(all.end(), added.begin(), added.end());
  std::vector<std::string> names = NamesToSign(all);
  RequestHead whole = head;
  whole.headers = all;
  std::string canonical = CanonicalRequest(whole, service, names);
  canonical += payload_sha256;
  Digest key = DeriveSigningKey(credentials.secret_access_key, scope);
  added.emplace_back("Authorization",
                     fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}",
                                 kSigV4Algorithm, scope.access_key_id, ScopeText(scope),
                                 JoinNames(names), Signature(key, amz_date, scope, canonical)));
  return added;
}

std::string PresignQuery(const RequestHead& head, const SigningCredentials& credentials,
                         std::string_view region, std::string_view service, WallTime now,
                         std::chrono::seconds expires) {
  std::string amz_date = AmzDate(now);
  CredentialScope scope = MakeScope(credentials, amz_date, region, service);
  std::vector<std::string> names = NamesToSign(head.headers);
  std::string query(head.raw_query);
  if (!query.empty()) query += '&';
  query += fmt::format(
      "X-Amz-Algorithm={}&X-Amz-Credential={}&X-Amz-Date={}&X-Amz-Expires={}&X-Amz-SignedHeaders={"
      "}",
      kSigV4Algorithm, PercentEncode(scope.access_key_id + "/" + ScopeText(scope)), amz_date,
      expires.count(), PercentEncode(JoinNames(names)));
  if (!credentials.session_token.empty()) {
    query += "&X-Amz-Security-Token=" + PercentEncode(credentials.session_token);
  }
  RequestHead whole = head;
  whole.raw_query = query;
  std::string canonical = CanonicalRequest(whole, service, names);
  canonical += service == "s3" ? kUnsignedPayload : kEmptyHash;
  Digest key = DeriveSigningKey(credentials.secret_access_key, scope);
  return query + "&X-Amz-Signature=" + Signature(key, amz_date, scope, canonical);
}

}  // namespace samovar
