// Event-invoke-config, dead letters and the small settings.

#include "functions/registry_for_tests.h"

namespace samovar {
namespace {

TEST_F(RegistryTest, KeepsWhatBecomesOfEvents) {
  Create("fn");
  Create("sink");
  Run("PublishVersion", R"({"FunctionName": "fn"})");
  EXPECT_EQ(registry_->AsyncPolicyOf("fn", "").max_retries, 2);
  EXPECT_EQ(registry_->AsyncPolicyOf("fn", "").max_age, std::chrono::seconds(21600));
  auto put = Run("PutFunctionEventInvokeConfig", R"({"FunctionName": "fn",
      "MaximumRetryAttempts": 0, "DestinationConfig": {"OnSuccess": {"Destination":
      "arn:aws:lambda:us-east-1:000000000000:function:sink"}}})");
  EXPECT_TRUE(put.at("LastModified").is_number());
  put.erase("LastModified");
  EXPECT_EQ(put, json::parse(R"({"MaximumRetryAttempts": 0,
      "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:fn:$LATEST",
      "DestinationConfig": {"OnFailure": {}, "OnSuccess": {"Destination":
      "arn:aws:lambda:us-east-1:000000000000:function:sink"}}})"));
  auto policy = registry_->AsyncPolicyOf("fn", "$LATEST");
  EXPECT_EQ(policy.max_retries, 0);
  EXPECT_EQ(policy.on_success_arn, std::string(kArn) + "sink");
  EXPECT_EQ(registry_->AsyncPolicyOf("fn", "1").max_retries, 2);

  Run("UpdateFunctionEventInvokeConfig",
      R"({"FunctionName": "fn", "MaximumEventAgeInSeconds": 60})");
  policy = registry_->AsyncPolicyOf("fn", "");
  EXPECT_EQ(policy.max_retries, 0);
  EXPECT_EQ(policy.max_age, std::chrono::seconds(60));
  EXPECT_EQ(policy.on_success_arn, std::string(kArn) + "sink");
  // Put writes anew: what it does not say is gone.
  Run("PutFunctionEventInvokeConfig", R"({"FunctionName": "fn", "MaximumRetryAttempts": 1})");
  policy = registry_->AsyncPolicyOf("fn", "");
  EXPECT_EQ(policy.max_age, std::chrono::seconds(21600));
  EXPECT_EQ(policy.on_success_arn, "");

  Run("PutFunctionEventInvokeConfig", R"({"FunctionName": "fn:1", "MaximumRetryAttempts": 1})");
  EXPECT_EQ(Run("ListFunctionEventInvokeConfigs", R"({"FunctionName": "fn"})")
                .at("FunctionEventInvokeConfigs")
                .as_array()
                .size(),
            2u);
  Run("DeleteFunctionEventInvokeConfig", R"({"FunctionName": "fn"})");
  EXPECT_EQ(registry_->AsyncPolicyOf("fn", "").max_retries, 2);
}

TEST_F(RegistryTest, RefusesEventConfigurationsInAwsWords) {
  Create("fn");
  const struct {
    const char *operation, *input, *error;
  } cases[] = {
      {"PutFunctionEventInvokeConfig", R"({"FunctionName": "no", "MaximumRetryAttempts": 1})",
       "ResourceNotFoundException: The function doesn't exist."},
      {"PutFunctionEventInvokeConfig", R"({"FunctionName": "fn:no", "MaximumRetryAttempts": 1})",
       "ResourceNotFoundException: The function doesn't exist."},
      {"PutFunctionEventInvokeConfig", R"({"FunctionName": "fn"})",
       "InvalidParameterValueException: You must specify at least one of error handling or "
       "destination setting."},
      {"PutFunctionEventInvokeConfig", R"({"FunctionName": "fn", "DestinationConfig":
          {"OnSuccess": {"Destination": "ARNno"}}})",
       "InvalidParameterValueException: The destination ARN ARNno is invalid."},
      {"PutFunctionEventInvokeConfig", R"({"FunctionName": "fn", "DestinationConfig":
          {"OnSuccess": {"Destination": "ARNfn"}}})",
       "InvalidParameterValueException: You can't specify the function as a destination for "
       "itself."},
      {"PutFunctionEventInvokeConfig", R"({"FunctionName": "fn", "DestinationConfig":
          {"OnSuccess": {"Destination": "arn:aws:iam:us-east-1:000000000000:function:x"}}})",
       "InvalidParameterValueException: The provided destination config "
       "DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:iam:us-east-1:000000000000:"
       "function:x), onFailure=null) is invalid."},
      {"PutFunctionEventInvokeConfig", R"({"FunctionName": "fn", "DestinationConfig":
          {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:q"}}})",
       "InvalidParameterValueException: The destination ARN arn:aws:sqs:us-east-1:000000000000:q "
       "is not supported here: results can go to another function only (the ARN of a Lambda "
       "function)."},
      {"UpdateFunctionEventInvokeConfig", R"({"FunctionName": "fn", "MaximumRetryAttempts": 1})",
       "ResourceNotFoundException: The function ARNfn:$LATEST doesn't have an EventInvokeConfig"},
      {"GetFunctionEventInvokeConfig", R"({"FunctionName": "no"})",
       "ResourceNotFoundException: The function ARNno:$LATEST doesn't have an EventInvokeConfig"},
      {"DeleteFunctionEventInvokeConfig", R"({"FunctionName": "fn:1"})",
       "ResourceNotFoundException: The function ARNfn:1 doesn't have an EventInvokeConfig"},
      {"ListFunctionEventInvokeConfigs", R"({"FunctionName": "no"})",
       "ResourceNotFoundException: The function doesn't exist."},
  };
  for (const auto& [operation, input, error] : cases) {
    const auto filled = [](std::string text) {
      if (const auto at = text.find("ARN");
          at != std::string::npos && text.substr(at, 4) != "ARN ") {
        text.replace(at, 3, kArn);
      } else if (const auto second = text.find("ARNno"); second != std::string::npos) {
        text.replace(second, 3, kArn);
      }
      return text;
    };
    EXPECT_EQ(ErrorOf(operation, std::string_view(filled(input))), filled(error)) << input;
  }
}

TEST_F(RegistryTest, SendsDeadLettersToFunctionsOnly) {
  Create("fn");
  Run("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "DeadLetterConfig": {"TargetArn":
      "arn:aws:lambda:us-east-1:000000000000:function:dead"}})");
  Settle("fn");
  EXPECT_EQ(registry_->AsyncPolicyOf("fn", "").dead_letter_arn, std::string(kArn) + "dead");
  Run("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "DeadLetterConfig": {}})");
  Settle("fn");
  EXPECT_EQ(registry_->AsyncPolicyOf("fn", "").dead_letter_arn, "");
}

TEST_F(RegistryTest, KeepsSmallSettings) {
  Create("fn");
  EXPECT_EQ(Run("GetFunctionRecursionConfig", R"({"FunctionName": "fn"})").at("RecursiveLoop"),
            "Terminate");
  Run("PutFunctionRecursionConfig", R"({"FunctionName": "fn", "RecursiveLoop": "Allow"})");
  Run("PutRuntimeManagementConfig", R"({"FunctionName": "fn", "UpdateRuntimeOn": "Manual",
      "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:x"})");
  EXPECT_NE(ErrorOf("PutRuntimeManagementConfig",
                    R"({"FunctionName": "fn", "UpdateRuntimeOn": "Manual"})"),
            "");
  Open();
  EXPECT_EQ(Run("GetFunctionRecursionConfig", R"({"FunctionName": "fn"})").at("RecursiveLoop"),
            "Allow");
  EXPECT_EQ(Run("GetRuntimeManagementConfig", R"({"FunctionName": "fn"})"),
            json::parse(R"({"UpdateRuntimeOn": "Manual",
                "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:x",
                "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:fn:$LATEST"})"));
}

TEST_F(RegistryTest, KeepsCodeSigningConfigurations) {
  Create("fn");
  EXPECT_EQ(ErrorOf("CreateCodeSigningConfig", R"({"CodeSigningPolicies":
      {"UntrustedArtifactOnDeployment": "Enforce"}})")
                .substr(0, 22),
            ": CodeSigningPolicies.");
  const auto made = Run("CreateCodeSigningConfig", R"({"Description": "d", "AllowedPublishers":
      {"SigningProfileVersionArns": ["arn:aws:signer:x"]}})");
  const std::string arn(made.at("CodeSigningConfig").at("CodeSigningConfigArn").as_string());
  EXPECT_EQ(Run("GetFunctionCodeSigningConfig", R"({"FunctionName": "fn"})"), json::object());
  const json::object attach{{"FunctionName", "fn"}, {"CodeSigningConfigArn", arn}};
  EXPECT_EQ(Run("PutFunctionCodeSigningConfig", attach), attach);
  Open();
  EXPECT_EQ(Run("GetCodeSigningConfig", json::object{{"CodeSigningConfigArn", arn}}), made);
  EXPECT_EQ(Run("GetFunctionCodeSigningConfig", R"({"FunctionName": "fn"})"), attach);
  EXPECT_EQ(Run("ListFunctionsByCodeSigningConfig", json::object{{"CodeSigningConfigArn", arn}}),
            json::parse(R"({"FunctionArns":
                ["arn:aws:lambda:us-east-1:000000000000:function:fn"]})"));
  EXPECT_TRUE(ErrorOf("DeleteCodeSigningConfig", json::object{{"CodeSigningConfigArn", arn}})
                  .starts_with("ResourceConflictException"));
  Run("DeleteFunctionCodeSigningConfig", R"({"FunctionName": "fn"})");
  Run("DeleteCodeSigningConfig", json::object{{"CodeSigningConfigArn", arn}});
  EXPECT_EQ(ErrorOf("GetCodeSigningConfig", json::object{{"CodeSigningConfigArn", arn}}),
            "ResourceNotFoundException: The Lambda code signing configuration " + arn +
                " can not be found.");
}

}  // namespace
}  // namespace samovar
