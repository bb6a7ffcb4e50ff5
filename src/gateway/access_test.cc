#include "gateway/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace samovar {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kList = "/2015-03-31/functions";

TEST(Access, KnowsLocalHosts) {
  for (auto* host : {"localhost", "LOCALHOST:4566", "a.localhost:1", "127.0.0.1", "127.9.9.9:80",
                     "[::1]:4566"}) {
    EXPECT_TRUE(IsLocalHost(host)) << host;
  }
  for (auto* host : {"", "evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.com",
                     "[fe80::1]", "0.0.0.0", "[", "[]"}) {
    EXPECT_FALSE(IsLocalHost(host)) << host;
  }
}

TEST(Access, OpenLoopbackRefusesWebPagesOfOtherSites) {
  GatewayHarness harness;
  std::string own = "http://127.0.0.1:" + std::to_string(harness.Port());
  struct Case {
    Headers headers;
    unsigned status;
  };
  for (auto& c : std::vector<Case>{
           {{}, 200},
           {With({{"Origin", own}}), 200},
           {With({{"Origin", "http://evil.example"}}), 403},
           {With({{"Origin", "null"}}), 403},
           {With({{"Origin", "http://localhost:3000"}}), 403},
           {With({{"Sec-Fetch-Site", "cross-site"}}), 403},
           {With({{"Sec-Fetch-Site", "none"}}), 200},
           // Nothing proves a signature here, so a page cannot buy its way in with one.
           {With({{"Origin", "http://evil.example"},
                  {"Authorization",
                   "AWS4-HMAC-SHA256 Credential=A/20261124/us-east-1/lambda/aws4_request, "
                   "SignedHeaders=host, Signature=00"}}),
            403},
       }) {
    EXPECT_EQ(harness.Get(kList, c.headers).status, c.status);
    EXPECT_EQ(harness.Get("/samovar/v1/keys", c.headers).status, c.status);
  }
}

// The HTTP client writes its own Host, so these go out as bytes.
HttpRequest RequestFor(std::string_view host) {
  HttpRequest request;
  request.method = "GET";
  request.target = kList;
  request.headers.Add("Host", host);
  return request;
}

TEST(Access, OpenLoopbackRefusesNamesThatArePointedAtIt) {
  MemoryStore kv;
  BlockingPool pool(1);
  SystemClock clock;
  auto keys = KeyStore::Open(kv, pool, clock).value();
  Access access(*keys, clock, true);
  EXPECT_TRUE(access.Check(RequestFor("localhost:4566")));
  auto refused = access.Check(RequestFor("rebound.example:4566"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kDenied);
  EXPECT_THAT(refused.error().message, HasSubstr("rebound.example"));
}

TEST(Access, AnAddressBeyondLoopbackIsNeverOpen) {
  MemoryStore kv;
  BlockingPool pool(1);
  SystemClock clock;
  auto keys = KeyStore::Open(kv, pool, clock).value();
  Access access(*keys, clock, false);
  EXPECT_FALSE(access.Check(RequestFor("localhost:4566")));
}

TEST(Access, OnceAKeyExistsEveryRequestMustBeSigned) {
  GatewayHarness harness;
  auto made = harness.Post("/samovar/v1/keys", R"({"description": "mine"})");
  ASSERT_EQ(made.status, 200u) << made.body;
  SigningCredentials good{Text(Json(made), "access_key_id"), Text(Json(made), "secret_access_key"),
                          ""};
  EXPECT_THAT(good.access_key_id, StartsWith("AKIA"));
  EXPECT_EQ(good.access_key_id.size(), 20u);
  EXPECT_EQ(good.secret_access_key.size(), 40u);

  auto unsigned_list = harness.Get(kList);
  EXPECT_EQ(unsigned_list.status, 403u);
  EXPECT_EQ(unsigned_list.headers.Get("x-amzn-ErrorType"), "MissingAuthenticationTokenException");
  EXPECT_EQ(harness.Get("/samovar/v1/keys").status, 403u);
  EXPECT_EQ(harness.Call({.method = "PUT", .target = "/samovar/v1/uploads", .body = "x"}).status,
            403u);
  EXPECT_EQ(harness.Invoke("{}").status, 403u);
  EXPECT_EQ(harness.Get("/samovar/v1/health").status, 200u);
  EXPECT_EQ(harness.Get("/metrics").status, 200u);

  EXPECT_EQ(harness.Call(harness.Sign({.target = kList}, good)).status, 200u);
  SigningCredentials wrong = good;
  wrong.secret_access_key[0] ^= 1;
  auto forged = harness.Call(harness.Sign({.target = kList}, wrong));
  EXPECT_EQ(forged.status, 403u);
  EXPECT_EQ(forged.headers.Get("x-amzn-ErrorType"), "InvalidSignatureException");
  SigningCredentials unknown{"AKIAUNKNOWN", "secret", ""};
  auto stranger = harness.Call(harness.Sign({.target = kList}, unknown));
  EXPECT_EQ(stranger.headers.Get("x-amzn-ErrorType"), "UnrecognizedClientException");

  // A body that is not the signed one.
  auto call = harness.Sign({.method = "PUT", .target = "/samovar/v1/uploads", .body = "abc"}, good);
  call.body = "abd";
  EXPECT_EQ(harness.Call(std::move(call)).status, 403u);

  HttpCall remove{.method = "DELETE", .target = "/samovar/v1/keys/" + good.access_key_id};
  EXPECT_EQ(harness.Call(harness.Sign(remove, good)).status, 204u);
  EXPECT_EQ(harness.Get(kList).status, 200u);  // open again
  EXPECT_EQ(harness.Call(remove).status, 404u);
}

TEST(Access, APackagesLocationCanBeFetchedWithoutAKey) {
  GatewayHarness harness;
  std::string zip = MakeZip("app.py", "x = 1\n");
  ASSERT_EQ(harness.Create("echo", zip).status, 201u);
  auto made = Json(harness.Post("/samovar/v1/keys", ""));
  SigningCredentials key{Text(made, "access_key_id"), Text(made, "secret_access_key"), ""};
  auto got = harness.Call(harness.Sign({.target = "/2015-03-31/functions/echo"}, key));
  ASSERT_EQ(got.status, 200u) << got.body;
  std::string location(Json(got).at("Code").at("Location").get_string());
  std::string path = location.substr(location.find("/samovar/"));
  EXPECT_THAT(path, HasSubstr("X-Amz-Signature="));
  EXPECT_TRUE(harness.Get(path).body == zip);
  path.back() = path.back() == '0' ? '1' : '0';
  EXPECT_EQ(harness.Get(path).status, 403u);
}

TEST(KeyStore, KeepsKeysAndRefusesWhatTheDiskRefuses) {
  MemoryStore kv;
  BlockingPool pool(1);
  SystemClock clock;
  auto keys = KeyStore::Open(kv, pool, clock).value();
  auto key = keys->CreateNow("first").value();
  kv.FailWrites(1);
  EXPECT_FALSE(keys->CreateNow("second"));
  EXPECT_EQ(keys->Size(), 1u);
  auto again = KeyStore::Open(kv, pool, clock).value();
  EXPECT_EQ(again->SecretOf(key.id), key.secret);
  ASSERT_EQ(again->List().size(), 1u);
  EXPECT_EQ(again->List()[0].description, "first");
  EXPECT_EQ(again->List()[0].secret, "");
}

}  // namespace
}  // namespace samovar
