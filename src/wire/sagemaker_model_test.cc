#include "wire/sagemaker_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

namespace samovar {
namespace {

using testing::HasSubstr;

TEST(SageMakerModel, TellsItsOperationsByTheirTarget) {
  EXPECT_EQ(SageMakerModel::OperationOf("SageMaker.CreateModel"), "CreateModel");
  EXPECT_EQ(SageMakerModel::OperationOf("DynamoDB_20120810.ListTables"), "");
  SageMakerModel model;
  EXPECT_TRUE(model.Knows("UpdateEndpointWeightsAndCapacities"));
  EXPECT_FALSE(model.Knows("CreateTrainingJob"));
}

TEST(SageMakerModel, KeepsTheMembersItKnows) {
  SageMakerModel model;
  auto input = model.DecodeInput("CreateEndpoint",
                                 R"({"EndpointName":"shop","EndpointConfigName":"c","Other":1})");
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(boost::json::serialize(*input), R"({"EndpointName":"shop","EndpointConfigName":"c"})");
}

TEST(SageMakerModel, NamesTheMemberAtFaultAsAwsDoes) {
  struct Case {
    const char* operation;
    const char* body;
    const char* name;
    const char* message;
  };
  const Case cases[] = {
      {"CreateEndpoint", R"({"EndpointName":"-","EndpointConfigName":"c"})", "ValidationException",
       "1 validation error detected: Value '-' at 'endpointName' failed to satisfy constraint: "
       "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"},
      {"CreateEndpointConfig", R"({"EndpointConfigName":"c","ProductionVariants":[]})",
       "ValidationException",
       "Value '[]' at 'productionVariants' failed to satisfy constraint: Member must have length "
       "greater than or equal to 1"},
      {"CreateEndpointConfig",
       R"({"EndpointConfigName":"c","ProductionVariants":[{"VariantName":"v",)"
       R"("InitialVariantWeight":-1}]})",
       "ValidationException", "'productionVariants.1.member.initialVariantWeight'"},
      {"DescribeModel", R"({})", "ValidationException",
       "Value null at 'modelName' failed to satisfy constraint: Member must not be null"},
      {"DescribeModel", R"({"ModelName":1})", "SerializationException",
       "NUMBER_VALUE can not be converted to a String at 'modelName'"},
      {"DescribeModel", R"({)", "SerializationException", "Could not parse request body into json"},
      {"CreateTrainingJob", R"({})", "UnknownOperationException", "CreateTrainingJob"},
  };
  SageMakerModel model;
  for (const Case& c : cases) {
    auto input = model.DecodeInput(c.operation, c.body);
    ASSERT_FALSE(input) << c.body;
    EXPECT_EQ(input.error().name, c.name) << c.body;
    EXPECT_THAT(input.error().message, HasSubstr(c.message));
  }
}

TEST(SageMakerModel, TellsErrorsInJson11) {
  auto reply = SageMakerErrorReply(
      {Code::kNotFound, "Could not find model \"arn\".", "ValidationException"}, "id");
  EXPECT_EQ(reply.status, 400u);
  EXPECT_EQ(reply.body,
            R"({"__type":"ValidationException","message":"Could not find model \"arn\"."})");
  EXPECT_EQ(SageMakerErrorReply({Code::kUnavailable, "full"}, "id").status, 503u);
  EXPECT_EQ(SageMakerErrorReply({Code::kDenied, "no"}, "id").status, 403u);
}

}  // namespace
}  // namespace samovar
