#include "gateway/function_url_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace samovar {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

// A function "echo" with a URL; answers "/function-url/ID".
std::string MakeUrl(GatewayHarness& harness, const std::string& config, bool open) {
  EXPECT_EQ(harness.Create("echo").status, 201u);
  auto made = harness.Post("/2021-10-31/functions/echo/url", config);
  EXPECT_EQ(made.status, 201u) << made.body;
  std::string url = Text(Json(made), "FunctionUrl");
  auto begin = url.find("//") + 2;
  std::string path = "/function-url/" + url.substr(begin, url.find('.') - begin);
  if (open) {
    auto allowed = harness.Post("/2015-03-31/functions/echo/policy",
                                R"({"StatementId": "public", "Action": "lambda:InvokeFunctionUrl",
                                    "Principal": "*", "FunctionUrlAuthType": "NONE"})");
    EXPECT_EQ(allowed.status, 201u) << allowed.body;
  }
  return path;
}

TEST(FunctionUrlApi, MatchesHostsAndPaths) {
  struct Case {
    const char* host;
    const char* target;
    const char* id;  // nullptr: no function URL
    const char* path;
  };
  for (auto& c : std::initializer_list<Case>{
           {"abc.lambda-url.us-east-1.localhost:4566", "/x/y?q=1", "abc", "/x/y"},
           {"ABC.Lambda-Url.us-east-1.localhost", "/", nullptr, ""},
           {"abc.lambda-url.us-east-1.on.aws", "/", "abc", "/"},
           {"localhost:4566", "/function-url/abc", "abc", "/"},
           {"localhost:4566", "/function-url/abc/", "abc", "/"},
           {"localhost:4566", "/function-url/abc/p%20q/r?s=t", "abc", "/p%20q/r"},
           {".lambda-url.us-east-1.localhost", "/", nullptr, ""},
           {"localhost", "/function-urls/abc", nullptr, ""}}) {
    HttpRequest request;
    request.target = c.target;
    request.headers.Add("Host", c.host);
    auto match = FunctionUrlApi::Match(request);
    ASSERT_EQ(match.has_value(), c.id != nullptr) << c.host << c.target;
    if (!match) continue;
    EXPECT_EQ(match->id, c.id);
    EXPECT_EQ(match->path, c.path);
  }
}

TEST(FunctionUrlApi, IsForbiddenUntilThePolicyAllowsEveryone) {
  GatewayHarness harness;
  auto path = MakeUrl(harness, R"({"AuthType": "NONE"})", false);
  auto refused = harness.Get(path + "/");
  EXPECT_EQ(refused.status, 403u);
  EXPECT_THAT(Text(Json(refused), "Message"), HasSubstr("Forbidden"));
  EXPECT_THAT(Text(Json(refused), "Hint"), HasSubstr("add-permission"));
}

TEST(FunctionUrlApi, GivesTheFunctionTheRequestAsAnEvent) {
  GatewayHarness harness;
  auto path = MakeUrl(harness, R"({"AuthType": "NONE"})", true);
  auto reply = harness.Post(path + "/some/path?a=1&b=2", "hello",
                            With({{"Content-Type", "text/plain"}, {"X-Mine", "yes"}}));
  ASSERT_EQ(reply.status, 200u) << reply.body;
  auto event = Json(reply);
  EXPECT_EQ(Text(event, "version"), "2.0");
  EXPECT_EQ(Text(event, "rawPath"), "/some/path");
  EXPECT_EQ(Text(event, "rawQueryString"), "a=1&b=2");
  EXPECT_EQ(Text(event, "body"), "hello");
  EXPECT_EQ(event.at("requestContext").at("http").at("method").as_string(), "POST");
  EXPECT_EQ(event.at("requestContext").at("http").at("sourceIp").as_string(), "127.0.0.1");
  EXPECT_EQ(event.at("headers").at("x-mine").as_string(), "yes");
}

TEST(FunctionUrlApi, ShowsFailuresAsA502AndThrottlesAsA429) {
  GatewayHarness harness;
  auto path = MakeUrl(harness, R"({"AuthType": "NONE"})", true);
  auto failed = harness.Get(path + "/?fail");
  EXPECT_EQ(failed.status, 502u);
  EXPECT_THAT(failed.body, HasSubstr("Internal Server Error"));
  EXPECT_EQ(harness.Get(path + "/?throttle").status, 429u);
}

TEST(FunctionUrlApi, StreamsAnswers) {
  GatewayHarness harness;
  auto path = MakeUrl(harness, R"({"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"})", true);
  auto plain = harness.Get(path + "/?stream");
  EXPECT_EQ(plain.status, 200u);
  EXPECT_EQ(plain.body, "one,two");
  EXPECT_EQ(plain.headers.Get("Transfer-Encoding"), "chunked");
  auto page = harness.Get(path + "/?page");
  EXPECT_EQ(page.status, 201u);
  EXPECT_EQ(page.body, "<p>one,two");
  EXPECT_EQ(page.headers.Get("X-Made"), "by-stream");
  EXPECT_EQ(page.headers.Get("Set-Cookie"), "a=b");
  EXPECT_EQ(harness.Get(path + "/?fail").status, 502u);
}

TEST(FunctionUrlApi, WantsASignatureUnderIam) {
  GatewayHarness harness;
  auto path = MakeUrl(harness, R"({"AuthType": "AWS_IAM"})", false);
  auto refused = harness.Get(path + "/");
  EXPECT_EQ(refused.status, 403u);
  EXPECT_THAT(Text(Json(refused), "Hint"), HasSubstr("AWS_IAM"));
  SigningCredentials anyone{"AKIDEXAMPLE", "whatever", ""};
  auto reply = harness.Call(harness.Sign({.target = path + "/"}, anyone));
  ASSERT_EQ(reply.status, 200u) << reply.body;
  auto event = Json(reply);
  EXPECT_EQ(event.at("requestContext").at("authorizer").at("iam").at("accessKey").as_string(),
            "AKIDEXAMPLE");
  auto made = Json(harness.Post("/samovar/v1/keys", ""));
  EXPECT_EQ(harness.Call(harness.Sign({.target = path + "/"}, anyone)).status, 403u);
  SigningCredentials key{Text(made, "access_key_id"), Text(made, "secret_access_key"), ""};
  EXPECT_EQ(harness.Call(harness.Sign({.target = path + "/"}, key)).status, 200u);
}

TEST(FunctionUrlApi, AnswersCors) {
  GatewayHarness harness;
  auto path = MakeUrl(harness,
                      R"({"AuthType": "NONE", "Cors": {"AllowOrigins": ["https://app.example"],
                          "AllowMethods": ["POST"], "AllowHeaders": ["x-mine"], "MaxAge": 60}})",
                      true);
  auto preflight = harness.Call({.method = "OPTIONS",
                                 .target = path + "/",
                                 .headers = With({{"Origin", "https://app.example"},
                                                  {"Access-Control-Request-Method", "POST"},
                                                  {"Access-Control-Request-Headers", "x-mine"}})});
  EXPECT_EQ(preflight.status, 200u);
  EXPECT_EQ(preflight.headers.Get("Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_EQ(preflight.headers.Get("Access-Control-Max-Age"), "60");
  auto reply = harness.Post(path + "/", "{}", With({{"Origin", "https://app.example"}}));
  EXPECT_EQ(reply.status, 200u);
  EXPECT_EQ(reply.headers.Get("Access-Control-Allow-Origin"), "https://app.example");
  auto other = harness.Post(path + "/", "{}", With({{"Origin", "https://other.example"}}));
  EXPECT_FALSE(other.headers.Has("Access-Control-Allow-Origin"));
}

}  // namespace
}  // namespace samovar
