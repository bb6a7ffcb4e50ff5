#include "wire/invoke_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "wire/runtime_api.h"

namespace samovar {
namespace {

const LambdaModel& Model() {
  static const LambdaModel model;
  return model;
}

Result<InvokeRequest> Read(std::string_view path, std::string_view query, const Fields& headers) {
  auto route = Model().MatchRoute("POST", path, query);
  CHECK(route.has_value());
  return ReadInvokeRequest(Model(), *route, query, headers);
}
constexpr std::string_view kInvoke = "/2015-03-31/functions/f%3Alive/invocations";
constexpr std::string_view kStream = "/2021-11-15/functions/f/response-streaming-invocations";

TEST(InvokeRequest, ReadsHeadersAndQuery) {
  auto request = Read(kInvoke, "Qualifier=%24LATEST",
                      {{"x-amz-invocation-type", "Event"},
                       {"X-Amz-Log-Type", "Tail"},
                       {"X-Amz-Client-Context", Base64Encode("{\"a\":\n1}")},
                       {"X-Amzn-Trace-Id", "Root=1"}});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->function_name, "f:live");
  EXPECT_EQ(request->qualifier, "$LATEST");
  EXPECT_EQ(request->type, InvocationType::kEvent);
  EXPECT_TRUE(request->log_tail);
  EXPECT_EQ(request->client_context, "{\"a\": 1}");
  EXPECT_EQ(request->trace_id, "Root=1");
  auto old = Read("/2014-11-13/functions/f/invoke-async", "", {});
  ASSERT_TRUE(old);
  EXPECT_EQ(old->type, InvocationType::kEvent);
}

TEST(InvokeRequest, RefusesWhatTheModelDoesNotHave) {
  auto error = [](std::string_view path, const Fields& headers) {
    auto request = Read(path, "", headers);
    return request ? "ok" : request.error().message;
  };
  EXPECT_EQ(error(kInvoke, {{"X-Amz-Invocation-Type", "Later"}}),
            "1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy "
            "constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]");
  EXPECT_THAT(error(kStream, {{"X-Amz-Invocation-Type", "Event"}}),
              testing::HasSubstr("enum value set: [RequestResponse, DryRun]"));
  EXPECT_THAT(error(kInvoke, {{"X-Amz-Log-Type", "All"}}), testing::HasSubstr("at 'logType'"));
  for (const std::string& bad : {std::string("!"), Base64Encode("no json"), Base64Encode("[]")}) {
    EXPECT_EQ(error(kInvoke, {{"X-Amz-Client-Context", bad}}),
              "Client context must be a valid Base64-encoded JSON object.");
  }
  EXPECT_THAT(error(kInvoke, {{"X-Amz-Client-Context", std::string(3584, 'a')}}),
              testing::HasSubstr("3583 bytes"));
}

TEST(InvokeRequest, TakesOnlyJsonAsPayload) {
  for (std::string_view good : {"", "{}", "null", "\"a\"", " [1, 2] "}) {
    EXPECT_TRUE(CheckInvokePayload(good)) << good;
  }
  EXPECT_TRUE(CheckInvokePayload(std::string(500, '[') + std::string(500, ']')));
  for (std::string_view bad : {"{", "x", "\"y-n\x87r\"", "{} {}", "\x99\xeb"}) {
    auto result = CheckInvokePayload(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().name, "InvalidRequestContentException");
    EXPECT_THAT(result.error().message,
                testing::StartsWith("Could not parse request body into json: Could not parse "
                                    "payload into json: "));
  }
  EXPECT_FALSE(CheckInvokePayload(std::string(100'000, '[')));
}

TEST(RuntimeApi, FindsItsCalls) {
  struct Case {
    std::string_view method, path;
    RuntimeCall call;
    std::string_view id;
  };
  constexpr Case kCases[] = {
      {"GET", "/2018-06-01/runtime/invocation/next", RuntimeCall::kNext, ""},
      {"POST", "/2018-06-01/runtime/invocation/id-1/response", RuntimeCall::kResponse, "id-1"},
      {"POST", "/2018-06-01/runtime/invocation/id-1/error", RuntimeCall::kError, "id-1"},
      {"POST", "/2018-06-01/runtime/init/error", RuntimeCall::kInitError, ""},
      {"POST", "/2018-06-01/runtime/invocation/next", RuntimeCall::kWrongMethod, ""},
      {"POST", "/2018-06-01/runtime/invocation//response", RuntimeCall::kUnknown, ""},
      {"POST", "/2018-06-01/runtime/invocation/a/b/response", RuntimeCall::kUnknown, ""},
      {"GET", "/2020-01-01/extension/event/next", RuntimeCall::kUnknown, ""},
  };
  for (const Case& c : kCases) {
    RuntimeRoute route = MatchRuntimeRoute(c.method, c.path);
    EXPECT_EQ(route.call, c.call) << c.path;
    EXPECT_EQ(route.request_id, c.id) << c.path;
  }
  EXPECT_EQ(RuntimeErrorBody("InvalidRequestID", "Invalid request ID"),
            R"({"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"})");
  EXPECT_EQ(FunctionErrorType(R"({"errorType":"ValueError"})", "Unknown"), "ValueError");
  EXPECT_EQ(FunctionErrorType("[", "Unknown"), "Unknown");
}

}  // namespace
}  // namespace samovar
