// Policies, tags, concurrency and function URLs, as AWS was recorded to answer them.

#include "functions/registry_for_tests.h"

namespace samovar {
namespace {

class AccessTest : public RegistryTest {
 protected:
  AccessTest() {
    Create("fn");
    Run("PublishVersion", R"({"FunctionName": "fn"})");
    Run("CreateAlias", R"({"FunctionName": "fn", "Name": "live", "FunctionVersion": "1"})");
  }
  json::object Add(std::string_view members) {
    json::object input{{"FunctionName", "fn"},
                       {"StatementId", "s"},
                       {"Action", "lambda:InvokeFunction"},
                       {"Principal", "s3.amazonaws.com"}};
    for (const auto& [key, value] : json::parse(members).as_object()) input[key] = value;
    return input;
  }
  void Compare(std::string error, std::string expected) {
    if (const auto at = expected.find("ARN"); at != std::string::npos)
      expected.replace(at, 3, kArn);
    EXPECT_EQ(error, expected);
  }
};

TEST_F(AccessTest, WritesStatementsAsAws) {
  const struct {
    const char *members, *statement;
  } cases[] = {
      {R"({"SourceArn": "arn:aws:s3:::b"})",
       R"({"Principal": {"Service": "s3.amazonaws.com"},
           "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}}})"},
      {R"({"Principal": "*", "SourceAccount": "111111111111"})",
       R"({"Principal": "*", "Condition": {"StringEquals": {"AWS:SourceAccount":
           "111111111111"}}})"},
      {R"({"Principal": "111111111111"})",
       R"({"Principal": {"AWS": "arn:aws:iam::111111111111:root"}})"},
      {R"({"Principal": "arn:aws:iam::111111111111:user/u"})",
       R"({"Principal": {"AWS": "arn:aws:iam::111111111111:user/u"}})"},
      {R"({"Principal": "*", "EventSourceToken": "t"})",
       R"({"Principal": "*", "Condition": {"StringEquals": {"lambda:EventSourceToken": "t"}}})"},
      {R"({"Principal": "*", "FunctionUrlAuthType": "NONE", "PrincipalOrgID": "o-1",
           "SourceAccount": "1", "SourceArn": "a"})",
       R"({"Principal": "*", "Condition": {
           "StringEquals": {"AWS:SourceAccount": "1", "lambda:FunctionUrlAuthType": "NONE",
                            "aws:PrincipalOrgID": "o-1"},
           "ArnLike": {"AWS:SourceArn": "a"}}})"},
  };
  int n = 0;
  for (const auto& [members, statement] : cases) {
    auto input = Add(members);
    const auto sid = "s" + std::to_string(n++);
    input["StatementId"] = sid;
    auto expected = json::parse(statement).as_object();
    expected["Sid"] = sid;
    expected["Effect"] = "Allow";
    expected["Action"] = "lambda:InvokeFunction";
    expected["Resource"] = std::string(kArn) + "fn";
    EXPECT_EQ(json::parse(Run("AddPermission", input).at("Statement").as_string()), expected);
  }
  const auto policy =
      json::parse(Run("GetPolicy", R"({"FunctionName": "fn"})").at("Policy").as_string());
  EXPECT_EQ(policy.at("Version"), "2012-10-17");
  EXPECT_EQ(policy.at("Id"), "default");
  EXPECT_EQ(policy.at("Statement").as_array().size(), std::size(cases));
}

TEST_F(AccessTest, KeepsAPolicyForEachQualifier) {
  Run("AddPermission", Add("{}"));
  Run("AddPermission", Add(R"({"Qualifier": "1"})"));
  Run("AddPermission", Add(R"({"FunctionName": "fn:live"})"));
  for (const auto* qualifier : {"", "1", "live"}) {
    json::object input{{"FunctionName", "fn"}};
    if (*qualifier) input["Qualifier"] = qualifier;
    const auto got = Run("GetPolicy", input);
    const auto resource = std::string(kArn) + "fn" + (*qualifier ? ":" : "") + qualifier;
    EXPECT_NE(got.at("Policy").as_string().find("\"" + resource + "\""), std::string::npos);
    // The policy's revision is that of what it is attached to.
    const auto owner = std::string_view(qualifier) == "live"
                           ? Run("GetAlias", R"({"FunctionName": "fn", "Name": "live"})")
                           : Configuration("fn", qualifier);
    EXPECT_EQ(got.at("RevisionId"), owner.at("RevisionId"));
  }
}

TEST_F(AccessTest, RefusesPermissionsInAwsWords) {
  Run("AddPermission", Add("{}"));
  const struct {
    const char *operation, *members, *error;
  } cases[] = {
      {"AddPermission", R"({"FunctionName": "fn:1", "Qualifier": "2"})",
       "InvalidParameterValueException: The derived qualifier from the function name does not "
       "match the specified qualifier."},
      {"AddPermission", R"({"Qualifier": "$LATEST"})",
       "InvalidParameterValueException: We currently do not support adding policies for $LATEST."},
      {"AddPermission", R"({"Principal": "invalid.nonaws.com"})",
       "InvalidParameterValueException: The provided principal was invalid. Please check the "
       "principal and try again."},
      {"AddPermission", R"({"FunctionName": "no"})",
       "ResourceNotFoundException: Function not found: ARNno"},
      {"AddPermission", R"({"Qualifier": "none"})",
       "ResourceNotFoundException: Cannot find alias arn: ARNfn:none"},
      {"AddPermission", R"({"Qualifier": "42"})",
       "ResourceNotFoundException: Function not found: ARNfn:42"},
      {"AddPermission", R"({"Qualifier": "valid-with-$"})",
       "ResourceNotFoundException: Function not found: ARNfn:valid-with-$"},
      {"AddPermission", "{}",
       "ResourceConflictException: The statement id (s) provided already exists. Please provide a "
       "new statement id, or remove the existing statement."},
      {"AddPermission", R"({"StatementId": "t", "RevisionId": "old"})",
       "PreconditionFailedException: The Revision Id provided does not match the latest Revision "
       "Id. Call the GetPolicy API to retrieve the latest Revision Id"},
      {"RemovePermission", R"({"StatementId": "none"})",
       "ResourceNotFoundException: Statement none is not found in resource policy."},
      {"RemovePermission", R"({"FunctionName": "no"})",
       "ResourceNotFoundException: No policy found for: ARNno"},
      {"RemovePermission", R"({"Qualifier": "1"})",
       "ResourceNotFoundException: No policy is associated with the given resource."},
      {"RemovePermission", R"({"Qualifier": "none"})",
       "ResourceNotFoundException: Cannot find alias arn: ARNfn:none"},
      {"GetPolicy", R"({"FunctionName": "no"})",
       "ResourceNotFoundException: The resource you requested does not exist."},
      {"GetPolicy", R"({"Qualifier": "7"})",
       "ResourceNotFoundException: The resource you requested does not exist."},
  };
  for (const auto& [operation, members, error] : cases) {
    Compare(ErrorOf(operation, Add(members)), error);
  }
  Run("RemovePermission", Add("{}"));
  EXPECT_NE(ErrorOf("GetPolicy", R"({"FunctionName": "fn"})"), "");
  std::string error;
  for (int i = 0; i < 200 && error.empty(); ++i) {
    error = ErrorOf("AddPermission", Add(R"({"StatementId": "n)" + std::to_string(i) + "\"}"));
  }
  EXPECT_TRUE(error.starts_with("PolicyLengthExceededException")) << error;
}

TEST_F(AccessTest, TellsWhetherEveryoneMayUseAUrl) {
  const struct {
    const char* members;
    bool open;
  } cases[] = {
      {R"({"Principal": "*", "FunctionUrlAuthType": "NONE"})", true},
      {R"({"Principal": "*"})", true},
      {R"({"Principal": "*", "InvokedViaFunctionUrl": true})", true},
      {R"({"Principal": "*", "FunctionUrlAuthType": "AWS_IAM"})", false},
      {R"({"Principal": "*", "SourceAccount": "111111111111"})", false},
      {R"({"Principal": "111111111111", "FunctionUrlAuthType": "NONE"})", false},
      {R"({"Principal": "*", "Action": "lambda:InvokeFunction"})", false},
  };
  for (const auto& [members, open] : cases) {
    auto input = Add(R"({"Action": "lambda:InvokeFunctionUrl"})");
    for (const auto& [key, value] : json::parse(members).as_object()) input[key] = value;
    Run("AddPermission", input);
    EXPECT_EQ(registry_->PolicyAllowsAll("fn", "", "lambda:InvokeFunctionUrl"), open) << members;
    EXPECT_FALSE(registry_->PolicyAllowsAll("fn", "live", "lambda:InvokeFunctionUrl"));
    Run("RemovePermission", input);
  }
  EXPECT_FALSE(registry_->PolicyAllowsAll("no", "", "lambda:InvokeFunctionUrl"));
}

TEST_F(AccessTest, TagsFunctionsOnly) {
  const std::string arn = std::string(kArn) + "fn";
  const auto tags = [&] { return Run("ListTags", json::object{{"Resource", arn}}).at("Tags"); };
  EXPECT_EQ(tags(), json::object());
  Run("TagResource", json::object{{"Resource", arn}, {"Tags", {{"A", "a"}, {"B", "b"}}}});
  Run("TagResource", json::object{{"Resource", arn}, {"Tags", {{"B", "new"}, {"C", "c"}}}});
  EXPECT_EQ(tags(), json::parse(R"({"A": "a", "B": "new", "C": "c"})"));
  Run("UntagResource", json::object{{"Resource", arn}, {"TagKeys", {"A", "never"}}});
  EXPECT_EQ(tags(), json::parse(R"({"B": "new", "C": "c"})"));
  json::object many;
  for (int i = 0; i < 49; ++i) many[std::to_string(i)] = "v";
  EXPECT_EQ(ErrorOf("TagResource", json::object{{"Resource", arn}, {"Tags", many}}),
            "InvalidParameterValueException: Number of tags exceeds resource tag limit.");
  EXPECT_EQ(ErrorOf("TagResource", json::object{{"Resource", arn}, {"Tags", json::object()}}),
            "InvalidParameterValueException: An error occurred and the request cannot be "
            "processed.");
  for (const auto* qualifier : {":1", ":$LATEST", ":live"}) {
    EXPECT_EQ(ErrorOf("ListTags", json::object{{"Resource", arn + qualifier}}),
              "InvalidParameterValueException: Tags on function aliases and versions are not "
              "supported. Please specify a function ARN.");
  }
  Compare(ErrorOf("ListTags", json::object{{"Resource", std::string(kArn) + "no"}}),
          "ResourceNotFoundException: Function not found: ARNno");
}

TEST_F(AccessTest, OpensTheNetworkByATagAndMakesInstancesAnew) {
  const std::string arn = std::string(kArn) + "fn";
  const auto latest = Resolve("fn")->version, first = Resolve("fn", "1")->version;
  EXPECT_FALSE(latest->egress);
  Run("TagResource", json::object{{"Resource", arn}, {"Tags", {{"other", "tag"}}}});
  EXPECT_EQ(Resolve("fn")->version, latest);
  Run("TagResource", json::object{{"Resource", arn}, {"Tags", {{"samovar:network", "egress"}}}});
  EXPECT_EQ(std::set(retired_.begin(), retired_.end()), (std::set{latest->Key(), first->Key()}));
  EXPECT_FALSE(latest->egress);  // what was handed out never changes
  EXPECT_TRUE(Resolve("fn")->version->egress);
  EXPECT_TRUE(Resolve("fn", "1")->version->egress);
  const auto key = Resolve("fn")->version->Key();
  Open();
  EXPECT_TRUE(Resolve("fn")->version->egress);
  EXPECT_EQ(Resolve("fn")->version->Key(), key);
  Run("UntagResource", json::object{{"Resource", arn}, {"TagKeys", {"samovar:network"}}});
  EXPECT_FALSE(Resolve("fn")->version->egress);
  EXPECT_NE(Resolve("fn")->version->Key(), latest->Key());
}

TEST_F(AccessTest, ReservesConcurrencyWithinTheAccount) {
  Create("other");
  const auto put = [](const char* name, int n) {
    return json::object{{"FunctionName", name}, {"ReservedConcurrentExecutions", n}};
  };
  EXPECT_EQ(Run("PutFunctionConcurrency", put("fn", 0)),
            json::parse(R"({"ReservedConcurrentExecutions": 0})"));
  EXPECT_EQ(Resolve("fn")->reserved_concurrency, 0);
  Run("PutFunctionConcurrency", put("fn", 500));
  EXPECT_EQ(ErrorOf("PutFunctionConcurrency", put("other", 401)),
            "InvalidParameterValueException: Specified ReservedConcurrentExecutions for function "
            "decreases account's UnreservedConcurrentExecution below its minimum value of [100].");
  Run("PutFunctionConcurrency", put("other", 400));
  Run("PutFunctionConcurrency", put("fn", 500));
  const auto settings = Run("GetAccountSettings", "{}");
  EXPECT_EQ(settings.at("AccountLimit").at("ConcurrentExecutions"), 1000);
  EXPECT_EQ(settings.at("AccountLimit").at("UnreservedConcurrentExecutions"), 100);
  EXPECT_EQ(registry_->ReservedTotal(), 900);
  EXPECT_EQ(settings.at("AccountUsage").at("FunctionCount").to_number<int>(), 2);
  EXPECT_EQ(ErrorOf("PutFunctionConcurrency", put("fn:live", 1)),
            "InvalidParameterValueException: This operation is permitted on Lambda functions only. "
            "Aliases and versions do not support this operation. Please specify either a function "
            "name or an unqualified function ARN.");
  Run("DeleteFunctionConcurrency", R"({"FunctionName": "fn"})");
  EXPECT_EQ(registry_->ReservedTotal(), 400);
  EXPECT_EQ(Run("GetFunctionConcurrency", R"({"FunctionName": "fn"})"), json::object());
  EXPECT_EQ(Resolve("fn")->reserved_concurrency, std::nullopt);
}

TEST_F(AccessTest, CountsCodeOfEveryVersion) {
  const auto total = [&] {
    return Run("GetAccountSettings", "{}").at("AccountUsage").at("TotalCodeSize").to_number<int>();
  };
  const auto size = Configuration("fn").at("CodeSize").to_number<int>();
  EXPECT_EQ(total(), 2 * size);
  Run("PublishLayerVersion",
      json::object{{"LayerName", "l"}, {"Content", {{"StagedPath", StageCode("2")}}}});
  EXPECT_EQ(total(), 3 * size);
}

TEST_F(AccessTest, GivesUrlsToFunctionsAndAliases) {
  const auto made = Run("CreateFunctionUrlConfig",
                        R"({"FunctionName": "fn", "AuthType": "NONE", "Cors": {
                            "AllowOrigins": ["*"], "AllowCredentials": true, "MaxAge": 5}})");
  const std::string url(made.at("FunctionUrl").as_string());
  ASSERT_TRUE(url.starts_with("http://") && url.ends_with(".lambda-url.us-east-1.localhost:4566/"))
      << url;
  const auto id = url.substr(7, url.find('.') - 7);
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(made.at("FunctionArn").as_string(), std::string(kArn) + "fn");
  auto found = registry_->FindUrl(id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->function, "fn");
  EXPECT_EQ(found->qualifier, "");
  EXPECT_FALSE(found->iam);
  EXPECT_FALSE(found->streaming);
  EXPECT_EQ(found->cors->allow_origins, std::vector<std::string>{"*"});
  EXPECT_TRUE(found->cors->credentials);
  EXPECT_EQ(found->cors->max_age, 5);
  Run("UpdateFunctionUrlConfig", R"({"FunctionName": "fn", "AuthType": "AWS_IAM",
      "InvokeMode": "RESPONSE_STREAM", "Cors": {}})");
  found = registry_->FindUrl(id);
  EXPECT_TRUE(found->iam);
  EXPECT_TRUE(found->streaming);
  EXPECT_FALSE(found->cors);
  Run("CreateFunctionUrlConfig",
      R"({"FunctionName": "fn", "Qualifier": "live", "AuthType": "NONE"})");
  const auto list = Run("ListFunctionUrlConfigs", R"({"FunctionName": "fn", "MaxItems": 1})");
  EXPECT_EQ(list.at("FunctionUrlConfigs").as_array().size(), 1u);
  const auto rest = Run("ListFunctionUrlConfigs",
                        json::object{{"FunctionName", "fn"}, {"Marker", list.at("NextMarker")}});
  EXPECT_EQ(rest.at("FunctionUrlConfigs").as_array().size(), 1u);
  Run("DeleteFunctionUrlConfig", R"({"FunctionName": "fn"})");
  EXPECT_FALSE(registry_->FindUrl(id));
  Run("GetFunctionUrlConfig", R"({"FunctionName": "fn", "Qualifier": "live"})");
  Run("DeleteAlias", R"({"FunctionName": "fn", "Name": "live"})");
  EXPECT_NE(ErrorOf("GetFunctionUrlConfig", R"({"FunctionName": "fn", "Qualifier": "live"})"), "");
}

TEST_F(AccessTest, RefusesUrlsInAwsWords) {
  Run("CreateFunctionUrlConfig", R"({"FunctionName": "fn", "AuthType": "NONE"})");
  const struct {
    const char *operation, *input, *error;
  } cases[] = {
      {"CreateFunctionUrlConfig", R"({"FunctionName": "fn"})",
       "ResourceConflictException: Failed to create function url config for [functionArn = ARNfn]. "
       "Error message:  FunctionUrlConfig exists for this Lambda function"},
      {"CreateFunctionUrlConfig", R"({"FunctionName": "no"})",
       "ResourceNotFoundException: Function does not exist"},
      {"CreateFunctionUrlConfig", R"({"FunctionName": "fn", "Qualifier": "none"})",
       "ResourceNotFoundException: Function does not exist"},
      {"CreateFunctionUrlConfig", R"({"FunctionName": "fn", "Qualifier": "1"})",
       "ValidationException: 1 validation error detected: Value '1' at 'qualifier' failed to "
       "satisfy constraint: Member must satisfy regular expression pattern: "
       "((?!^\\d+$)^[0-9a-zA-Z-_]+$)"},
      {"GetFunctionUrlConfig", R"({"FunctionName": "no"})",
       "ResourceNotFoundException: The resource you requested does not exist."},
      {"UpdateFunctionUrlConfig", R"({"FunctionName": "fn", "Qualifier": "live"})",
       "ResourceNotFoundException: The resource you requested does not exist."},
      {"DeleteFunctionUrlConfig", R"({"FunctionName": "fn", "Qualifier": "live"})",
       "ResourceNotFoundException: The resource you requested does not exist."},
      {"ListFunctionUrlConfigs", R"({"FunctionName": "no"})",
       "ResourceNotFoundException: Function does not exist"},
  };
  for (const auto& [operation, input, error] : cases) Compare(ErrorOf(operation, input), error);
}

}  // namespace
}  // namespace samovar
