#include "instances/async_event.h"

#include <gmock/gmock.h>

namespace samovar {
namespace {

using testing::HasSubstr;

AsyncEvent Sample() {
  AsyncEvent event;
  event.request_id = "8476a536";
  event.invoked_arn = "arn:aws:lambda:us-east-1:000000000000:function:f:live";
  event.client_context = "{\"a\":1}";
  event.trace_id = "Root=1-5";
  event.enqueued = WallTime(std::chrono::milliseconds(1'800'000'000'123));
  event.due = event.enqueued + std::chrono::seconds(60);
  event.attempts = 2;
  event.hops = 1;
  event.payload = std::string("{\"x\":\n1}\0\xff", 10);
  return event;
}

TEST(AsyncEvent, ComesBackFromDiskAsItWas) {
  AsyncEvent event = Sample();
  auto back = DecodeAsyncEvent(EncodeAsyncEvent(event));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->request_id, event.request_id);
  EXPECT_EQ(back->invoked_arn, event.invoked_arn);
  EXPECT_EQ(back->client_context, event.client_context);
  EXPECT_EQ(back->cognito_identity, "");
  EXPECT_EQ(back->trace_id, event.trace_id);
  EXPECT_EQ(back->enqueued, event.enqueued);
  EXPECT_EQ(back->due, event.due);
  EXPECT_EQ(back->attempts, 2);
  EXPECT_EQ(back->hops, 1);
  EXPECT_EQ(back->payload, event.payload);
}

TEST(AsyncEvent, IsRefusedWhenItCannotBeRead) {
  for (std::string_view value :
       {"", "{}", "{}\n", "[]\n", "{\"format\":2,\"request_id\":\"a\",\"arn\":\"b\"}\n",
        "{\"format\":1,\"request_id\":\"a\"}\n", "{\"format\":1\n"}) {
    auto event = DecodeAsyncEvent(value);
    ASSERT_FALSE(event) << value;
    EXPECT_EQ(event.error().code, Code::kInternal);
  }
}

TEST(AsyncKey, SortsByFunctionAndSequence) {
  EXPECT_LT(AsyncKey("f", 9), AsyncKey("f", 10));
  auto parsed = ParseAsyncKey(AsyncKey("my-function", 42));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->first, "my-function");
  EXPECT_EQ(parsed->second, 42u);
  for (std::string_view key : {"", "async/", "async/f", "async/f/", "async/f/x", "books/f/1"}) {
    EXPECT_FALSE(ParseAsyncKey(key)) << key;
  }
}

TEST(DestinationRecord, HasTheShapeThatLambdaSends) {
  AsyncEvent event = Sample();
  event.payload = "{\"x\":1}";
  AsyncOutcome outcome{.condition = "RetriesExhausted", .executed_version = "7", .result = {}};
  outcome.result.emplace();
  outcome.result->payload = "{\"errorType\":\"E\"}";
  outcome.result->function_error = "Unhandled";
  EXPECT_EQ(DestinationRecord(event, outcome, "arn:f:7", event.enqueued),
            "{\"version\":\"1.0\",\"timestamp\":\"2027-01-15T08:00:00.123Z\",\"requestContext\":{"
            "\"requestId\":\"8476a536\",\"functionArn\":\"arn:f:7\",\"condition\":"
            "\"RetriesExhausted\",\"approximateInvokeCount\":2},\"requestPayload\":{\"x\":1},"
            "\"responseContext\":{\"statusCode\":200,\"executedVersion\":\"7\",\"functionError\":"
            "\"Unhandled\"},\"responsePayload\":{\"errorType\":\"E\"}}");
}

TEST(DestinationRecord, HasNoResponseWhereNothingRan) {
  AsyncEvent event = Sample();
  event.attempts = 0;
  AsyncOutcome outcome{
      .condition = "ZeroReservedConcurrency", .executed_version = "", .result = {}};
  auto record = DestinationRecord(event, outcome, "arn", event.enqueued);
  EXPECT_THAT(record, HasSubstr("\"approximateInvokeCount\":0"));
  EXPECT_THAT(record, testing::Not(HasSubstr("response")));
}

TEST(FunctionArn, IsTakenApart) {
  struct Case {
    std::string_view arn;
    std::string_view function;
    std::string_view qualifier;
  };
  for (const Case& c : {
           Case{"arn:aws:lambda:us-east-1:000000000000:function:f", "f", ""},
           Case{"arn:aws:lambda:us-east-1:000000000000:function:f:live", "f", "live"},
           Case{"arn:aws:sqs:us-east-1:000000000000:queue", "", ""},
           Case{"arn:aws:lambda:us-east-1:000000000000:layer:f:1", "", ""},
           Case{"", "", ""},
       }) {
    auto arn = ParseFunctionArn(c.arn);
    EXPECT_EQ(arn.function, c.function) << c.arn;
    EXPECT_EQ(arn.qualifier, c.qualifier) << c.arn;
  }
}

}  // namespace
}  // namespace samovar
