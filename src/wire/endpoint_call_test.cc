#include "wire/endpoint_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "wire/event_stream.h"

namespace samovar {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

TEST(EndpointCall, ReadsWhatTheHeadersSay) {
  Fields headers{{"Content-Type", "text/csv"},
                 {"Accept", "*/*"},
                 {"X-Amzn-SageMaker-Target-Variant", "blue"},
                 {"X-Amzn-SageMaker-Custom-Attributes", "a=b"}};
  auto call = ReadEndpointCall("POST", "/endpoints/shop/invocations", headers);
  ASSERT_TRUE(call && *call);
  EXPECT_EQ((*call)->endpoint, "shop");
  EXPECT_EQ((*call)->content_type, "text/csv");
  EXPECT_EQ((*call)->accept, "");
  EXPECT_EQ((*call)->target_variant, "blue");
  EXPECT_EQ((*call)->custom_attributes, "a=b");
  EXPECT_FALSE((*call)->streaming);
}

TEST(EndpointCall, TakesTheAcceptOfAStreamFromItsOwnHeader) {
  Fields headers{{"Accept", "application/vnd.amazon.eventstream"},
                 {"X-Amzn-SageMaker-Accept", "text/plain"}};
  auto call = ReadEndpointCall("POST", "/endpoints/shop/invocations-response-stream", headers);
  ASSERT_TRUE(call && *call);
  EXPECT_TRUE((*call)->streaming);
  EXPECT_EQ((*call)->accept, "text/plain");
}

TEST(EndpointCall, LeavesOtherPathsAlone) {
  for (auto path : {"/", "/endpoints/shop", "/endpoints/shop/other", "/2015-03-31/functions/"}) {
    EXPECT_FALSE(ReadEndpointCall("POST", path, {})) << path;
  }
}

TEST(EndpointCall, RefusesWithValidationErrors) {
  struct Case {
    const char* path;
    Fields headers;
    const char* message;
  };
  const Case cases[] = {
      {"/endpoints/a%20b/invocations", {}, "Value 'a b' at 'endpointName'"},
      {"/endpoints/a%2/invocations", {}, "badly encoded"},
      {"/endpoints/a/async-invocations", {}, "InvokeEndpointAsync is not served here"},
      {"/endpoints/a/invocations",
       {{"X-Amzn-SageMaker-Target-Model", "m.tar.gz"}},
       "X-Amzn-SageMaker-Target-Model is not served here"},
      {"/endpoints/a/invocations",
       {{"X-Amzn-SageMaker-Target-Variant", "a/b"}},
       "Value 'a/b' at 'targetVariant'"},
      {"/endpoints/a/invocations",
       {{"Content-Type", std::string(1025, 'x')}},
       "'contentType' failed to satisfy constraint: Member must have length less than or equal"},
      {"/endpoints/a/invocations",
       {{"X-Amzn-SageMaker-Inference-Id", std::string(65, 'x')}},
       "'inferenceId'"},
  };
  for (const Case& c : cases) {
    auto call = ReadEndpointCall("POST", c.path, c.headers);
    ASSERT_TRUE(call) << c.path;
    ASSERT_FALSE(*call) << c.path;
    EXPECT_EQ(call->error().name, "ValidationError");
    EXPECT_THAT(call->error().message, HasSubstr(c.message));
  }
  auto get = ReadEndpointCall("GET", "/endpoints/a/invocations", {});
  ASSERT_TRUE(get && !*get);
  EXPECT_EQ(get->error().name, "MethodNotAllowedException");
}

TEST(EndpointCall, TellsJsonByItsType) {
  for (auto type :
       {"", "application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"}) {
    EXPECT_TRUE(IsJsonType(type)) << type;
  }
  for (auto type : {"text/csv", "application/x-npy", "application/jsonlines", "text/json"}) {
    EXPECT_FALSE(IsJsonType(type)) << type;
  }
}

TEST(EndpointCall, WrapsWhatIsNotJsonInAnEvent) {
  EndpointCall call{.endpoint = "shop",
                    .content_type = "text/csv",
                    .accept = "application/json",
                    .custom_attributes = "a=b"};
  auto event = json::parse(EndpointEvent(call, "blue", "1,2\n", "id"));
  EXPECT_EQ(event.at("body").as_string(), "MSwyCg==");
  EXPECT_TRUE(event.at("isBase64Encoded").as_bool());
  EXPECT_EQ(event.at("headers").at("content-type").as_string(), "text/csv");
  EXPECT_EQ(event.at("headers").at("accept").as_string(), "application/json");
  EXPECT_EQ(event.at("requestContext").at("variantName").as_string(), "blue");
}

TEST(EndpointCall, AnswersAFailedModelWith424) {
  struct Case {
    unsigned status;
    const char* message;
  };
  for (auto& c : {Case{400, "Received client error (400) from primary with message \"bad row\""},
                  Case{500, "Received server error (500) from primary with message \"bad row\""},
                  Case{0, "Received server error (0) from primary with message \"bad row\""}}) {
    auto reply = ModelErrorReply({c.status, "bad row", "arn"}, "id");
    EXPECT_EQ(reply.status, 424u);
    auto body = json::parse(reply.body);
    EXPECT_EQ(body.at("Message").as_string(), c.message);
    EXPECT_EQ(body.at("OriginalStatusCode").to_number<unsigned>(), c.status);
    EXPECT_EQ(body.at("OriginalMessage").as_string(), "bad row");
    EXPECT_EQ(body.at("LogStreamArn").as_string(), "arn");
  }
}

TEST(EndpointCall, NamesErrorsAsTheRuntimeApiDoes) {
  struct Case {
    Code code;
    const char* name;
    unsigned status;
  };
  for (auto& c : {Case{Code::kNotFound, "ValidationError", 400},
                  {Code::kInvalid, "ValidationError", 400},
                  {Code::kOverloaded, "ServiceUnavailable", 503},
                  {Code::kUnavailable, "ServiceUnavailable", 503},
                  {Code::kThrottled, "ThrottlingException", 429},
                  {Code::kInternal, "InternalFailure", 500},
                  {Code::kDenied, "AccessDeniedException", 403}}) {
    auto reply = EndpointErrorReply({c.code, "why"}, "id");
    EXPECT_EQ(reply.status, c.status);
    EXPECT_EQ(FieldOr(reply.headers, "x-amzn-ErrorType"), c.name);
    EXPECT_EQ(reply.body, R"({"Message":"why"})");
  }
}

TEST(EndpointCall, StreamsPartsAndFailuresAsEvents) {
  EventStreamDecoder decoder;
  decoder.Feed(PayloadPartEvent("ab") + StreamFailureEvent("ModelStreamError", "broke", "E"));
  auto part = decoder.Next().value().value();
  EXPECT_EQ(part.Header(":event-type"), "PayloadPart");
  EXPECT_EQ(part.payload, "ab");
  auto failure = decoder.Next().value().value();
  EXPECT_EQ(failure.Header(":exception-type"), "ModelStreamError");
  EXPECT_EQ(failure.payload, R"({"Message":"broke","ErrorCode":"E"})");
}

}  // namespace
}  // namespace samovar
