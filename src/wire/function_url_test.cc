#include "wire/function_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "wire/stream_prelude.h"

namespace samovar {
namespace {

UrlRequest Request(const Fields& headers) {
  UrlRequest request;
  request.method = "POST";
  request.path = "/pa%20th/%25";
  request.raw_query = "q=a%20b&m=1&m=%2F2&flag";
  request.headers = headers;
  request.source_ip = "127.0.0.1";
  request.domain_name = "abc.lambda-url.us-east-1.localhost";
  request.url_id = "abc";
  request.request_id = "id-1";
  request.time = WallTime(std::chrono::milliseconds(1795533676123));
  return request;
}

TEST(FunctionUrl, ShapesTheEventOfAnHttpRequest) {
  Fields headers{{"Host", "h"},
                 {"X-Multi", "1"},
                 {"Cookie", "a=1; b=2"},
                 {"x-multi", "2"},
                 {"User-Agent", "curl/8"},
                 {"Cookie", "c=3"},
                 {"Content-Type", "application/json"}};
  UrlRequest request = Request(headers);
  request.body = "{\"a\":1}";
  EXPECT_EQ(boost::json::parse(UrlEvent(request)), boost::json::parse(R"({
    "version": "2.0", "routeKey": "$default", "rawPath": "/pa th/%",
    "rawQueryString": "q=a%20b&m=1&m=%2F2&flag", "cookies": ["a=1", "b=2", "c=3"],
    "headers": {"host": "h", "x-multi": "1,2", "user-agent": "curl/8", "content-type": "application/json"},
    "queryStringParameters": {"q": "a b", "m": "1,/2", "flag": ""},
    "requestContext": {
      "accountId": "anonymous", "apiId": "abc", "domainName": "abc.lambda-url.us-east-1.localhost",
      "domainPrefix": "abc",
      "http": {"method": "POST", "path": "/pa th/%", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
               "userAgent": "curl/8"},
      "requestId": "id-1", "routeKey": "$default", "stage": "$default",
      "time": "24/Nov/2026:15:21:16 +0000", "timeEpoch": 1795533676123},
    "body": "{\"a\":1}", "isBase64Encoded": false})"));
}

TEST(FunctionUrl, NamesTheCallerUnderIam) {
  UrlRequest request = Request({});
  request.caller = IamCaller{"AKID", "000000000000", "arn:aws:iam::000000000000:root", "u"};
  auto context = boost::json::parse(UrlEvent(request)).at("requestContext");
  EXPECT_EQ(context.at("accountId"), "000000000000");
  EXPECT_EQ(context.at("authorizer").at("iam").at("accessKey"), "AKID");
}

TEST(FunctionUrl, SendsBinaryBodiesAsBase64) {
  struct Case {
    std::string_view type, encoding, body;
    bool binary;
  };
  constexpr Case kCases[] = {
      {"text/plain; charset=utf-8", "", "x", false},
      {"application/json", "", "x", false},
      {"Application/JSON;a=b", "", "x", false},
      {"application/vnd.api+json", "", "x", false},
      {"", "", "x", false},
      {"", "", "\xff", true},
      {"text/plain", "", "\xff", true},
      {"application/json", "gzip", "x", true},
      {"application/x-www-form-urlencoded", "", "a=b", true},
      {"multipart/form-data; boundary=x", "", "x", true},
      {"image/png", "", "x", true},
  };
  for (const Case& c : kCases) {
    Fields headers;
    if (!c.type.empty()) headers.emplace_back("Content-Type", c.type);
    if (!c.encoding.empty()) headers.emplace_back("Content-Encoding", c.encoding);
    UrlRequest request = Request(headers);
    request.body = c.body;
    auto event = boost::json::parse(UrlEvent(request));
    EXPECT_EQ(event.at("isBase64Encoded").as_bool(), c.binary) << c.type;
  }
}

TEST(FunctionUrl, WritesJsonForAnyBytes) {
  Fields headers{{"X-Bad", "\xff\"\\"}};
  UrlRequest request = Request(headers);
  request.raw_query = "%ff=\xfe";
  request.trace_id = "\xff";
  for (std::string_view path : {"/%ff%zz", "/%ff", "/\xaa", "/%2\xaa"}) {
    request.path = path;
    boost::json::error_code error;
    boost::json::parse(UrlEvent(request), error);
    EXPECT_FALSE(error) << path;
  }
}

struct AnswerCase {
  std::string_view payload;
  unsigned status;
  std::string_view type, body;
};

TEST(FunctionUrl, ReadsWhatAFunctionMayAnswer) {
  constexpr AnswerCase kCases[] = {
      {R"({"hello": "world"})", 200, "application/json", R"({"hello":"world"})"},
      {R"(["hello", 3, true])", 200, "application/json", R"(["hello",3,true])"},
      {R"({"a": "x \" y"})", 200, "application/json", R"({"a":"x \" y"})"},
      {R"("hello")", 200, "application/json", "hello"},
      {"3", 200, "application/json", "3"},
      {"3.1", 200, "application/json", "3.1"},
      {"true", 200, "application/json", "true"},
      {"null", 200, "application/json", "null"},
      {R"({"statusCode": 200, "body": "body123"})", 200, "application/json", "body123"},
      {R"({"statusCode": "404", "headers": {"Content-Type": "text/html"}, "body": "x"})", 404,
       "text/html", "x"},
      {R"({"statusCode": 200, "body": "YWJj", "isBase64Encoded": true})", 200, "application/json",
       "abc"},
      {R"({"statusCode": 200, "body": {"a": 1}})", 200, "application/json", R"({"a":1})"},
      {R"({"statusCode": 204})", 204, "application/json", ""},
      {R"({"statusCode": 200, "body": "*", "isBase64Encoded": true})", 502, "application/json",
       "Internal Server Error"},
      {R"({"statusCode": 99})", 502, "application/json", "Internal Server Error"},
      {R"({"statusCode": "x"})", 502, "application/json", "Internal Server Error"},
      {R"({"statusCode": 200, "headers": []})", 502, "application/json", "Internal Server Error"},
      {"not json", 502, "application/json", "Internal Server Error"},
  };
  for (const AnswerCase& c : kCases) {
    UrlAnswer answer = DecodeUrlAnswer(c.payload);
    EXPECT_EQ(answer.status, c.status) << c.payload;
    EXPECT_EQ(FieldOr(answer.headers, "content-type"), c.type) << c.payload;
    EXPECT_EQ(answer.body, c.body) << c.payload;
  }
}

TEST(FunctionUrl, LetsNoFunctionForgeTheConnectionsFields) {
  UrlAnswer answer = DecodeUrlAnswer(R"({"statusCode": 200, "cookies": ["a=1", "b\r\nX: y", "c=2"],
      "headers": {"X-Good": "1", "X-Number": 7, "X-Split": "a\r\nSet-Cookie: x", "Bad Name": "x",
                  "": "x", "Content-Length": "5", "transfer-encoding": "chunked", "X-Object": {}}})");
  Fields want{{"X-Good", "1"},
              {"X-Number", "7"},
              {"Set-Cookie", "a=1"},
              {"Set-Cookie", "c=2"},
              {"Content-Type", "application/json"}};
  EXPECT_EQ(answer.headers, want);
}

TEST(Cors, AnswersPreflights) {
  CorsPolicy policy{.credentials = false,
                    .allow_headers = {"x-a", "X-B"},
                    .allow_methods = {"GET", "PUT"},
                    .allow_origins = {"https://a.example"},
                    .expose_headers = {},
                    .max_age = 60};
  Fields headers{{"Origin", "https://a.example"},
                 {"Access-Control-Request-Method", "PUT"},
                 {"Access-Control-Request-Headers", "x-b, X-A"}};
  EXPECT_TRUE(IsPreflight("OPTIONS", headers));
  EXPECT_FALSE(IsPreflight("GET", headers));
  Fields want{{"Access-Control-Allow-Origin", "https://a.example"},
              {"Vary", "Origin"},
              {"Access-Control-Allow-Methods", "GET,PUT"},
              {"Access-Control-Allow-Headers", "x-a,X-B"},
              {"Access-Control-Max-Age", "60"}};
  EXPECT_EQ(PreflightAnswer(policy, headers).headers, want);
  for (auto [name, value] : {std::pair{"Origin", "https://b.example"},
                             std::pair{"Access-Control-Request-Method", "DELETE"},
                             std::pair{"Access-Control-Request-Headers", "x-c"}}) {
    Fields other = headers;
    for (Field& field : other) {
      if (field.first == name) field.second = value;
    }
    EXPECT_TRUE(PreflightAnswer(policy, other).headers.empty()) << name;
  }
}

TEST(Cors, NamesTheOriginWhereCredentialsForbidTheStar) {
  CorsPolicy policy{.credentials = false,
                    .allow_headers = {"*"},
                    .allow_methods = {"*"},
                    .allow_origins = {"*"},
                    .expose_headers = {"X-E"},
                    .max_age = {}};
  Fields request{{"Origin", "https://a.example"}};
  Fields answer{{"access-control-allow-origin", "forged"}, {"X-Own", "1"}};
  ApplyCors(policy, request, answer);
  EXPECT_EQ(answer, (Fields{{"X-Own", "1"},
                            {"Access-Control-Allow-Origin", "*"},
                            {"Access-Control-Expose-Headers", "X-E"}}));
  policy.credentials = true;
  ApplyCors(policy, request, answer);
  EXPECT_EQ(FieldOr(answer, "access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(FieldOr(answer, "access-control-allow-credentials"), "true");
  ApplyCors(policy, {}, answer);
  EXPECT_EQ(FindField(answer, "access-control-allow-origin"), nullptr);
}

TEST(StreamPrelude, SplitsHeadFromBodyHoweverItIsCut) {
  std::string bytes = R"({"statusCode": 201, "headers": {"X-A": "1"}, "cookies": ["a=1"]})" +
                      std::string(8, '\0') + std::string("bo\0dy", 5);
  for (std::size_t cut = 1; cut <= bytes.size(); ++cut) {
    StreamPrelude prelude;
    std::string body;
    for (std::size_t i = 0; i < bytes.size(); i += cut) {
      std::string_view piece = std::string_view(bytes).substr(i, cut);
      if (prelude.Done()) {
        body += piece;
        continue;
      }
      ASSERT_TRUE(prelude.Feed(piece)) << cut;
      if (prelude.Done()) body += prelude.Rest();
    }
    ASSERT_TRUE(prelude.Done()) << cut;
    EXPECT_EQ(prelude.Head().status, 201u);
    EXPECT_EQ(FieldOr(prelude.Head().headers, "x-a"), "1");
    EXPECT_EQ(FieldOr(prelude.Head().headers, "set-cookie"), "a=1");
    EXPECT_EQ(body, std::string("bo\0dy", 5)) << cut;
  }
}

TEST(StreamPrelude, RefusesWhatIsNoHead) {
  std::string nulls(8, '\0');
  for (const std::string& bad :
       {"[]" + nulls, "{" + nulls, nulls, "{}" + std::string(7, '\0') + "x",
        R"({"statusCode":"x"})" + nulls, std::string(70'000, ' ')}) {
    StreamPrelude prelude;
    EXPECT_FALSE(prelude.Feed(bad)) << bad.substr(0, 30);
  }
}

}  // namespace
}  // namespace samovar
