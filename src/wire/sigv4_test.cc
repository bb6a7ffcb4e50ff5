#include "wire/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <sstream>

#include "base/encoding.h"

namespace samovar {
namespace {

constexpr std::string_view kKey = "AKIDEXAMPLE";
constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const WallTime kNow{std::chrono::seconds(1795533676)};  // 2026-11-24 15:21:16

std::optional<std::string> Secrets(std::string_view key) {
  if (key != kKey) return std::nullopt;
  return std::string(kSecret);
}

struct Request {
  std::string method = "POST", path = "/2015-03-31/functions/f/invocations", query, body = "{}";
  Fields headers{{"Host", "localhost:4566"}};

  RequestHead Head() const { return {method, path, query, headers}; }
  void Sign(std::string_view payload, WallTime now = kNow) {
    Fields added = SignRequest(Head(), payload, {std::string(kKey), std::string(kSecret), ""},
                               "us-east-1", "lambda", now);
    headers.insert(headers.end(), added.begin(), added.end());
  }
  void Sign() { Sign(Sha256Hex(body)); }
  void Set(std::string_view name, std::string_view value) {
    for (Field& field : headers) {
      if (SameFieldName(field.first, name)) field.second = value;
    }
  }
};

std::string Verdict(const Request& request, WallTime now = kNow) {
  SigningKeyCache keys;
  auto begun = SigV4Verification::Begin(request.Head(), Secrets, keys, now);
  auto result = begun ? begun->Finish(Sha256Hex(request.body)) : std::unexpected(begun.error());
  if (result) return "ok";
  EXPECT_EQ(result.error().code, Code::kDenied);
  return std::string(result.error().name) + ": " + result.error().message;
}

TEST(SigV4, TakesEveryRequestThatBotocoreSigned) {
  std::ifstream file(std::string(SAMOVAR_CASES) + "/sigv4.json");
  std::stringstream text;
  text << file.rdbuf();
  boost::json::value cases = boost::json::parse(text.str());
  std::size_t checked = 0;
  for (const boost::json::value& c : cases.at("cases").as_array()) {
    std::string name(c.at("name").as_string());
    Request request{.method = std::string(c.at("method").as_string()),
                    .path = std::string(c.at("path").as_string()),
                    .query = std::string(c.at("query").as_string()),
                    .body = Base64Decode(c.at("body").as_string()).value(),
                    .headers = {}};
    for (const boost::json::value& h : c.at("headers").as_array()) {
      request.headers.emplace_back(h.at(0).as_string(), h.at(1).as_string());
    }
    const boost::json::value* at = c.as_object().if_contains("now");
    std::int64_t seconds = (at ? *at : cases.at("now")).to_number<std::int64_t>();
    WallTime now{std::chrono::seconds(seconds)};
    EXPECT_EQ(Verdict(request, now), "ok") << name;
    auto scope = ReadCredentialScope(request.headers, request.query);
    ASSERT_TRUE(scope) << name;
    EXPECT_EQ(scope->service, c.at("service").as_string()) << name;

    Request forged = request;
    forged.path += "x";
    EXPECT_THAT(Verdict(forged, now), testing::HasSubstr("does not match")) << name;
    ++checked;
  }
  EXPECT_GT(checked, 40u);
}

TEST(SigV4, SignsWhatItTakes) {
  Request request;
  request.Sign();
  EXPECT_EQ(Verdict(request), "ok");

  Request presigned{.method = "GET", .query = "Qualifier=1", .body = ""};
  presigned.query =
      PresignQuery(presigned.Head(), {std::string(kKey), std::string(kSecret), "t/+="}, "us-east-1",
                   "lambda", kNow, std::chrono::seconds(60));
  EXPECT_EQ(Verdict(presigned), "ok");
  EXPECT_EQ(Verdict(presigned, kNow + std::chrono::seconds(60)), "ok");
  EXPECT_EQ(Verdict(presigned, kNow + std::chrono::seconds(61)),
            "InvalidSignatureException: Signature expired: 20261124T152116Z is now earlier than "
            "20261124T152117Z (20261124T152217Z - 60 sec.)");
}

TEST(SigV4, RefusesWithTheNamesOfAws) {
  Request request;
  EXPECT_EQ(Verdict(request), "MissingAuthenticationTokenException: Missing Authentication Token");
  request.Sign();

  Request other = request;
  other.body = "{\"forged\":1}";
  EXPECT_THAT(Verdict(other),
              testing::StartsWith("InvalidSignatureException: The request signature "
                                  "we calculated does not match"));
  other = request;
  other.Set("Host", "elsewhere");
  EXPECT_THAT(Verdict(other), testing::HasSubstr("does not match"));
  other = request;
  other.query = "Qualifier=2";
  EXPECT_THAT(Verdict(other), testing::HasSubstr("does not match"));
  other = request;
  std::string authorization(FieldOr(request.headers, "authorization"));
  std::string stranger = authorization;
  stranger.replace(stranger.find(kKey), kKey.size(), "AKIDUNKNOWN");
  other.Set("Authorization", stranger);
  EXPECT_EQ(Verdict(other),
            "UnrecognizedClientException: The security token included in the request is invalid.");
  other.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b");
  EXPECT_EQ(Verdict(other),
            "IncompleteSignatureException: Authorization header requires 'Signature' parameter. "
            "Authorization header requires 'SignedHeaders' parameter.");
  other.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=x");
  EXPECT_EQ(
      Verdict(other),
      "IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, "
      "e.g. keyid/date/region/service/term, got 'a/b'");
  other.Set("Authorization", "Bearer x");
  EXPECT_THAT(Verdict(other), testing::StartsWith("IncompleteSignatureException"));
}

TEST(SigV4, AllowsFiveMinutesOfSkew) {
  Request request;
  request.Sign();
  using std::chrono::seconds;
  EXPECT_EQ(Verdict(request, kNow + seconds(300)), "ok");
  EXPECT_EQ(Verdict(request, kNow - seconds(300)), "ok");
  EXPECT_EQ(Verdict(request, kNow + seconds(301)),
            "InvalidSignatureException: Signature expired: 20261124T152116Z is now earlier than "
            "20261124T152117Z (20261124T152617Z - 5 min.)");
  EXPECT_EQ(Verdict(request, kNow - seconds(301)),
            "InvalidSignatureException: Signature not yet current: 20261124T152116Z is still later "
            "than 20261124T152115Z (20261124T151615Z + 5 min.)");
}

TEST(SigV4, ProvesAHeadThatDeclaresItsPayloadBeforeTheBody) {
  Request request;
  request.headers.emplace_back("X-Amz-Content-Sha256", Sha256Hex(request.body));
  request.Sign();
  SigningKeyCache keys;
  auto begun = SigV4Verification::Begin(request.Head(), Secrets, keys, kNow);
  ASSERT_TRUE(begun);
  EXPECT_TRUE(begun->HeadProven());
  EXPECT_TRUE(begun->Finish(Sha256Hex(request.body)));
  EXPECT_FALSE(begun->Finish(Sha256Hex("other")));
  request.Set("X-Amz-Content-Sha256", Sha256Hex("other"));
  EXPECT_FALSE(SigV4Verification::Begin(request.Head(), Secrets, keys, kNow));
  request.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  EXPECT_THAT(Verdict(request), testing::HasSubstr("UNSIGNED-PAYLOAD or a SHA-256"));
}

TEST(SigV4, WantsTheHostSigned) {
  Request request;
  request.headers = {{"X-Other", "1"}};
  request.Sign();
  request.headers.emplace_back("Host", "localhost");
  EXPECT_THAT(Verdict(request), testing::HasSubstr("must be a 'SignedHeader'"));
}

TEST(SigV4, RefusesAnExpiryOutOfBounds) {
  for (int expires : {0, -1, 604'801}) {
    Request request{.method = "GET", .query = "", .body = ""};
    request.query = PresignQuery(request.Head(), {std::string(kKey), std::string(kSecret), ""},
                                 "us-east-1", "lambda", kNow, std::chrono::seconds(expires));
    EXPECT_THAT(Verdict(request), testing::HasSubstr("X-Amz-Expires must be")) << expires;
  }
}

TEST(Sha256, HashesPiecesAsTheWhole) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  EXPECT_EQ(hash.HexDigest(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // RFC 4231, case 6: a key longer than a block.
  EXPECT_EQ(
      HexEncode(AsBytes(HmacSha256(std::string(131, '\xaa'),
                                   "Test Using Larger Than Block-Size Key - Hash Key First"))),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace samovar
