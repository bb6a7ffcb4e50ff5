#include "gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"
#include "wire/event_stream.h"

namespace samovar {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Gateway, TellsTheApisApart) {
  struct Case {
    const char* method;
    const char* target;
    Headers headers;
    unsigned status;
    const char* holds;  // in the body
  };
  std::string scope = "AWS4-HMAC-SHA256 Credential=AKID/20261124/us-east-1/";
  std::string rest = "/aws4_request, SignedHeaders=host, Signature=00";
  GatewayHarness harness;
  for (auto& c : std::vector<Case>{
           {"GET", "/samovar/v1/health", {}, 200, "\"status\":\"ok\""},
           {"GET", "/metrics", {}, 200, "samovar_"},
           {"GET", "/samovar/v1/nothing", {}, 404, "NoSuchPath"},
           {"GET", "/2015-03-31/functions", {}, 200, "\"Functions\":[]"},
           {"GET", "/2015-03-31/functions/absent", {}, 404, "Function not found: arn:aws:lambda:"},
           {"POST", "/", With({{"X-Amz-Target", "DynamoDB_20120810.ListTables"}}), 501, "DynamoDB"},
           {"POST", "/", With({{"Authorization", scope + "dynamodb" + rest}}), 501, "'dynamodb'"},
           {"GET", "/bucket/key", With({{"Authorization", scope + "s3" + rest}}), 501,
            "<Error><Code>NotImplemented</Code>"},
           {"POST", "/",
            With({{"Authorization", scope + "sts" + rest},
                  {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}}),
            501, "<ErrorResponse><Error><Type>Sender</Type>"},
           {"GET", "/function-url/absent/x", {}, 404, "no function URL absent"},
       }) {
    auto reply = harness.Call({.method = c.method, .target = c.target, .headers = c.headers});
    EXPECT_EQ(reply.status, c.status) << c.target << reply.body;
    EXPECT_THAT(reply.body, HasSubstr(c.holds)) << c.target;
    EXPECT_EQ(reply.headers.Get("x-amzn-requestid").size(), 36u) << c.target;
  }
}

TEST(Gateway, NamesWhatItDoesNotKnowWithoutLookingLikeAMissingFunction) {
  GatewayHarness harness;
  for (auto* target : {"/", "/favicon.ico", "/2015-03-31/nothing", "/2015-03-31/functions/a/b/c"}) {
    auto reply = harness.Get(target);
    EXPECT_GE(reply.status, 400u) << target;
    EXPECT_THAT(reply.headers.Get("x-amzn-errortype"), testing::Not(StartsWith("ResourceNotFound")))
        << target;
    EXPECT_THAT(reply.body, testing::Not(HasSubstr("Function not found"))) << target;
  }
}

TEST(Gateway, CreatesAndInvokes) {
  GatewayHarness harness;
  auto created = harness.Create("echo");
  ASSERT_EQ(created.status, 201u) << created.body;
  EXPECT_EQ(Text(Json(created), "FunctionName"), "echo");
  auto reply = harness.Invoke(R"({"a": [1, 2]})");
  EXPECT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.body, R"({"a": [1, 2]})");
  EXPECT_EQ(reply.headers.Get("X-Amz-Executed-Version"), "$LATEST");
  EXPECT_EQ(reply.headers.Get("Content-Type"), "application/json");
  EXPECT_THAT(reply.headers.Get("X-Amzn-Trace-Id"), StartsWith("Root=1-"));
  EXPECT_FALSE(reply.headers.Has("X-Amz-Function-Error"));
  EXPECT_FALSE(reply.headers.Has("X-Amz-Log-Result"));
}

TEST(Gateway, RefusesLargeEventsWhileOthersHaveAllTheRoom) {
  GatewayOptions options;
  options.events = {
      .ordinary = Bytes::KiB(200), .large = {1}, .patience = std::chrono::milliseconds(1)};
  GatewayHarness harness(options);
  ASSERT_EQ(harness.Create("echo").status, 201u);
  const std::string filler(100'000, 'x');
  auto first = std::async(std::launch::async, [&] {
    return harness.Invoke(R"({"do":"hold","x":")" + filler + filler + R"("})");
  });
  harness.Invoker().holding.get_future().wait();
  EXPECT_EQ(harness.Invoke(R"({"small": 1})").status, 200u);
  const std::string large = "\"" + filler + "\"";
  const auto refused = harness.Invoke(large);
  EXPECT_EQ(refused.status, 429u);
  EXPECT_THAT(refused.headers.Get("x-amzn-errortype"), StartsWith("TooManyRequestsException"));
  EXPECT_THAT(refused.body, HasSubstr("too much is being uploaded; try again"));
  const auto event = harness.Invoke(large, With({{"X-Amz-Invocation-Type", "Event"}}));
  EXPECT_EQ(event.status, 429u) << event.body;
  const auto inference = harness.Post("/v2/models/echo/infer", large);
  EXPECT_EQ(inference.status, 503u);
  EXPECT_THAT(inference.body, HasSubstr(R"("error":"too much is being uploaded)"));
  harness.Run([&]() -> Task<void> {
    harness.Invoker().Release();
    co_return;
  });
  EXPECT_EQ(first.get().status, 200u);
  EXPECT_EQ(harness.Invoke(large).status, 200u);
}

TEST(Gateway, AnswersInvokeAsAwsDoes) {
  GatewayHarness harness;
  ASSERT_EQ(harness.Create("echo").status, 201u);
  std::string big(6'291'457, ' ');
  std::string async_big(1'048'577, ' ');
  struct Case {
    std::string body;
    Headers headers;
    unsigned status;
    std::string error;  // x-amzn-ErrorType
    std::string message;
  };
  for (auto& c : std::vector<Case>{
           {"{}", With({{"X-Amz-Invocation-Type", "DryRun"}}), 204, "", ""},
           {"", {}, 200, "", ""},
           {"{",
            {},
            400,
            "InvalidRequestContentException",
            "Could not parse request body into json"},
           {"{}", With({{"X-Amz-Invocation-Type", "Later"}}), 400, "", "Later"},
           {R"({"do": "throttle"})", {}, 429, "TooManyRequestsException", "Rate Exceeded."},
           {big,
            {},
            413,
            "RequestTooLargeException",
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation"},
           {async_big, With({{"X-Amz-Invocation-Type", "Event"}}), 413,
            "RequestEntityTooLargeException",
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 "
            "bytes)"},
       }) {
    auto reply = harness.Invoke(c.body, c.headers);
    EXPECT_EQ(reply.status, c.status) << reply.body;
    if (!c.error.empty()) EXPECT_THAT(reply.headers.Get("x-amzn-ErrorType"), StartsWith(c.error));
    EXPECT_THAT(reply.body, HasSubstr(c.message));
  }
  auto absent = harness.Invoke("{}", {}, "absent");
  EXPECT_EQ(absent.status, 404u);
  EXPECT_EQ(absent.headers.Get("x-amzn-ErrorType"), "ResourceNotFoundException");
}

TEST(Gateway, ReportsAFunctionErrorInA200) {
  GatewayHarness harness;
  ASSERT_EQ(harness.Create("echo").status, 201u);
  auto reply = harness.Invoke(R"({"do": "fail"})", With({{"X-Amz-Log-Type", "Tail"}}));
  EXPECT_EQ(reply.status, 200u);
  EXPECT_EQ(reply.headers.Get("X-Amz-Function-Error"), "Unhandled");
  EXPECT_EQ(Base64Decode(reply.headers.Get("X-Amz-Log-Result")), "START\nsome log\n");
  EXPECT_THAT(reply.body, HasSubstr("ValueError"));
}

TEST(Gateway, PutsEventsIntoTheQueue) {
  GatewayHarness harness;
  ASSERT_EQ(harness.Create("echo").status, 201u);
  auto reply = harness.Invoke(
      R"({"n": 1})", With({{"X-Amz-Invocation-Type", "Event"}, {"X-Amzn-Trace-Id", "Root=1-a-b"}}));
  EXPECT_EQ(reply.status, 202u);
  EXPECT_EQ(reply.body, "");
  auto old = harness.Post("/2014-11-13/functions/echo/invoke-async", R"({"n": 2})");
  EXPECT_EQ(old.status, 202u) << old.body;
  auto queued = harness.Queued();
  ASSERT_EQ(queued.size(), 2u);
  EXPECT_EQ(queued[0].payload, R"({"n": 1})");
  EXPECT_EQ(queued[0].trace_id, "Root=1-a-b");
  EXPECT_EQ(queued[0].request_id, reply.headers.Get("x-amzn-requestid"));
  EXPECT_EQ(queued[1].payload, R"({"n": 2})");
}

std::vector<EventMessage> Events(const std::string& body) {
  EventStreamDecoder decoder;
  decoder.Feed(body);
  std::vector<EventMessage> messages;
  while (true) {
    auto next = decoder.Next();
    EXPECT_TRUE(next);
    if (!next || !*next) return messages;
    messages.push_back(std::move(**next));
  }
}

TEST(Gateway, StreamsAnswersAsEvents) {
  GatewayHarness harness;
  ASSERT_EQ(harness.Create("echo").status, 201u);
  const std::string target = "/2021-11-15/functions/echo/response-streaming-invocations";
  auto reply = harness.Post(target, "{}", With({{"X-Amz-Log-Type", "Tail"}}));
  ASSERT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.headers.Get("Content-Type"), "application/vnd.amazon.eventstream");
  auto events = Events(reply.body);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].Header(":event-type"), "PayloadChunk");
  EXPECT_EQ(events[0].payload, "one,");
  EXPECT_EQ(events[1].payload, "two");
  EXPECT_EQ(events[2].Header(":event-type"), "InvokeComplete");
  EXPECT_THAT(events[2].payload, HasSubstr(Base64Encode("START\nsome log\n")));

  auto failed = Events(harness.Post(target, R"({"do": "fail"})").body);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_THAT(failed[0].payload, HasSubstr("\"ErrorCode\":\"Unhandled\""));
  EXPECT_THAT(failed[0].payload, HasSubstr("ValueError"));
  EXPECT_EQ(harness.Post(target, R"({"do": "throttle"})").status, 429u);
}

TEST(Gateway, TellsTheFunctionThatTheReaderOfAStreamLeft) {
  GatewayHarness harness;
  ASSERT_EQ(harness.Create("echo").status, 201u);
  auto left = harness.Invoker().reader_left.get_future();
  auto reply = HttpClient({false, "127.0.0.1", harness.Port()})
                   .Call({.method = "POST",
                          .target = "/2021-11-15/functions/echo/response-streaming-invocations",
                          .body = R"({"do": "endless"})"},
                         [](std::string_view) { return false; });
  EXPECT_TRUE(reply);
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST(Gateway, TakesALargePackageThroughTheRequestOrAnUpload) {
  GatewayHarness harness;
  std::string zip = MakeZip("data.bin", RandomHex(3'000'000));
  auto uploaded = harness.Call({.method = "PUT", .target = "/samovar/v1/uploads", .body = zip});
  ASSERT_EQ(uploaded.status, 200u) << uploaded.body;
  std::string hash = Text(Json(uploaded), "sha256");
  EXPECT_EQ(hash, Sha256Hex(zip));
  EXPECT_EQ(harness.Call({.method = "HEAD", .target = "/samovar/v1/uploads/" + hash}).status, 200u);
  std::string other(64, 'a');
  EXPECT_EQ(harness.Call({.method = "HEAD", .target = "/samovar/v1/uploads/" + other}).status,
            404u);
  EXPECT_TRUE(harness.Get("/samovar/v1/packages/" + hash).body == zip);

  auto created = harness.Create("large", zip);
  ASSERT_EQ(created.status, 201u) << created.body;
  EXPECT_EQ(Text(Json(created), "CodeSha256"), Base64Encode(*HexDecode(hash)));
  auto got = harness.Get("/2015-03-31/functions/large");
  std::string location(Json(got).at("Code").at("Location").get_string());
  std::string start = "http://127.0.0.1:" + std::to_string(harness.Port());
  EXPECT_EQ(location, start + "/samovar/v1/packages/" + hash);

  boost::json::object body{
      {"FunctionName", "stored"},
      {"Runtime", "python3.11"},
      {"Role", "arn:aws:iam::000000000000:role/r"},
      {"Handler", "app.handler"},
      {"Code", boost::json::object{{"S3Bucket", "samovar-uploads"}, {"S3Key", hash}}}};
  auto stored = harness.Post("/2015-03-31/functions", boost::json::serialize(body));
  EXPECT_EQ(stored.status, 201u) << stored.body;
  EXPECT_EQ(Text(Json(stored), "CodeSha256"), Base64Encode(*HexDecode(hash)));
}

TEST(Gateway, RefusesAPackageBeyondTheBound) {
  GatewayHarness harness(GatewayOptions{.max_package = Bytes{1000}});
  auto created = harness.Create("large", MakeZip("data.bin", RandomHex(5'000)));
  EXPECT_EQ(created.status, 413u) << created.body;
  EXPECT_THAT(created.body, HasSubstr("Zipped size must be smaller than 1000 bytes"));
  EXPECT_EQ(
      harness
          .Call({.method = "PUT", .target = "/samovar/v1/uploads", .body = std::string(2'000, 'x')})
          .status,
      413u);
  EXPECT_EQ(harness.Get("/2015-03-31/functions/large").status, 404u);
}

TEST(Gateway, RefusesWhatIsNoZip) {
  GatewayHarness harness;
  auto created = harness.Create("bad", "this is no zip");
  EXPECT_EQ(created.status, 400u);
  EXPECT_EQ(created.headers.Get("x-amzn-ErrorType"), "InvalidParameterValueException");
}

TEST(Gateway, ShowsLogsAsLines) {
  GatewayHarness harness;
  ASSERT_EQ(harness.Create("echo").status, 201u);
  harness.Run([&]() -> Task<void> {
    auto writer = harness.Logs().Open("echo", "stream-1", "$LATEST");
    writer.Append(WallTime(std::chrono::milliseconds(1'800'000'000'123)), "first\nsecond \"2\"\n");
    co_return;
  });
  auto reply = harness.Get("/samovar/v1/logs/echo");
  EXPECT_EQ(reply.status, 200u);
  std::vector<boost::json::object> lines;
  LineSplitter split([&](std::string_view line) {
    lines.push_back(boost::json::parse(line).get_object());
    return true;
  });
  split(reply.body);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].at("timestamp").as_int64(), 1'800'000'000'123);
  EXPECT_EQ(Text(lines[1], "message"), "second \"2\"");
  EXPECT_EQ(Text(lines[1], "stream"), "stream-1");
  EXPECT_EQ(harness.Get("/samovar/v1/logs/echo?limit=x").status, 400u);
  EXPECT_EQ(harness.Get("/samovar/v1/logs/absent").status, 404u);

  // Following goes on until the reader has enough.
  std::string seen;
  auto followed =
      HttpClient({false, "127.0.0.1", harness.Port()})
          .Call({.target = "/samovar/v1/logs/echo?follow=1&limit=1"}, [&](std::string_view piece) {
            seen += piece;
            return false;
          });
  EXPECT_TRUE(followed);
  EXPECT_THAT(seen, HasSubstr("second"));
}

}  // namespace
}  // namespace samovar
