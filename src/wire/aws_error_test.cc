#include "wire/aws_error.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

struct Case {
  Error error;
  unsigned status;
  std::string_view name, body;
};

TEST(AwsError, AnswersAsLambdaDoes) {
  const Case kCases[] = {
      {{Code::kNotFound, "Function not found: f"},
       404,
       "ResourceNotFoundException",
       R"({"Type":"User","Message":"Function not found: f"})"},
      {{Code::kConflict, "x"},
       409,
       "ResourceConflictException",
       R"({"Type":"User","message":"x"})"},
      {{Code::kThrottled,
        "Rate Exceeded.",
        {},
        "ReservedFunctionConcurrentInvocationLimitExceeded"},
       429,
       "TooManyRequestsException",
       R"({"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."})"},
      {{Code::kInvalid, "x", "ValidationException"},
       400,
       "ValidationException",
       R"({"message":"x"})"},
      {{Code::kInternal, "x"}, 500, "ServiceException", R"({"Type":"Service","Message":"x"})"},
      {{Code::kInvalid, "x", "InvalidZipFileException"},
       502,
       "InvalidZipFileException",
       R"({"Type":"Service","Message":"x"})"},
      {{Code::kDenied, "x", "InvalidSignatureException"},
       403,
       "InvalidSignatureException",
       R"({"message":"x"})"},
      {{Code::kPrecondition, "x", "SomethingNewException"},
       412,
       "SomethingNewException",
       R"({"Type":"User","message":"x"})"},
      {{Code::kUnsupported, "CreateCapacityProvider is not supported"},
       400,
       "UnsupportedOperationException",
       R"({"message":"CreateCapacityProvider is not supported"})"},
  };
  for (const Case& c : kCases) {
    ErrorReply reply = LambdaErrorReply(c.error, "id-1");
    EXPECT_EQ(reply.status, c.status) << c.name;
    EXPECT_EQ(FieldOr(reply.headers, "X-Amzn-ErrorType"), c.name);
    EXPECT_EQ(FieldOr(reply.headers, "x-amzn-requestid"), "id-1");
    EXPECT_EQ(reply.body, c.body);
  }
}

}  // namespace
}  // namespace samovar
