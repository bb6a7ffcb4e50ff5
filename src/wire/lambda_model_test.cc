#include "wire/lambda_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace samovar {
namespace {

const LambdaModel& Model() {
  static const LambdaModel model;
  return model;
}

struct RouteCase {
  std::string_view method, path, query, operation;
};

std::string NameOf(std::string_view method, std::string_view path, std::string_view query) {
  auto match = Model().MatchRoute(method, path, query);
  if (match) return std::string(match->operation->name);
  constexpr const char* kMisses[] = {"not Lambda", "unknown", "wrong method", "bad encoding"};
  return kMisses[static_cast<int>(match.error())];
}

TEST(LambdaModel, FindsTheOperationOfARequest) {
  constexpr RouteCase kCases[] = {
      {"POST", "/2015-03-31/functions", "", "CreateFunction"},
      {"POST", "/2015-03-31/functions/", "", "CreateFunction"},
      {"GET", "/2015-03-31/functions/", "MaxItems=3", "ListFunctions"},
      {"POST", "/2015-03-31/functions/f/invocations", "Qualifier=1", "Invoke"},
      {"POST", "/2014-11-13/functions/f/invoke-async", "", "InvokeAsync"},
      {"POST", "/2014-11-13/functions/f/invoke-async/", "", "InvokeAsync"},
      {"POST", "/2021-11-15/functions/f/response-streaming-invocations", "",
       "InvokeWithResponseStream"},
      {"GET", "/2018-10-31/layers", "", "ListLayers"},
      {"GET", "/2018-10-31/layers", "find=LayerVersion&Arn=x", "GetLayerVersionByArn"},
      {"GET", "/2019-09-30/functions/f/provisioned-concurrency", "Qualifier=1",
       "GetProvisionedConcurrencyConfig"},
      {"GET", "/2019-09-30/functions/f/provisioned-concurrency", "List=ALL&MaxItems=1",
       "ListProvisionedConcurrencyConfigs"},
      {"PUT", "/2017-10-31/functions/f/concurrency", "", "PutFunctionConcurrency"},
      {"GET", "/2019-09-30/functions/f/concurrency", "", "GetFunctionConcurrency"},
      {"DELETE", "/2018-10-31/layers/l/versions/1/policy/s", "", "RemoveLayerVersionPermission"},
      {"PUT", "/2015-03-31/functions/f/invocations", "", "wrong method"},
      {"POST", "/2015-03-31/functions//invocations", "", "unknown"},
      {"POST", "/2015-03-31/functions/f/invocations/x", "", "unknown"},
      {"POST", "/2015-04-31/functions", "", "unknown"},
      {"POST", "/2015-03-31/functions/%zz/invocations", "", "bad encoding"},
      {"GET", "/2015-03-31/a/b/c/d/e/f/g/h/i", "", "unknown"},
      {"GET", "/metrics", "", "not Lambda"},
      {"GET", "/", "", "not Lambda"},
      {"GET", "", "", "not Lambda"},
      {"GET", "*", "", "not Lambda"},
  };
  for (const RouteCase& c : kCases) {
    EXPECT_EQ(NameOf(c.method, c.path, c.query), c.operation) << c.method << " " << c.path;
  }
  EXPECT_EQ(Model().OperationCount(), 85u);
  EXPECT_EQ(Model().FindOperation("DeleteFunction")->success_status, 204);
}

TEST(LambdaModel, DecodesParametersOfThePath) {
  auto match = Model().MatchRoute(
      "POST", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
      "");
  EXPECT_FALSE(match);  // a function itself takes no POST
  match = Model().MatchRoute("DELETE", "/2018-10-31/layers/a%2Fb/versions/7/policy/s%201", "");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->Param("LayerName"), "a/b");
  EXPECT_EQ(match->Param("VersionNumber"), "7");
  EXPECT_EQ(match->Param("StatementId"), "s 1");
  EXPECT_EQ(match->Param("Other"), "");
}

Result<boost::json::object> Decode(std::string_view method, std::string_view path,
                                   std::string_view query, std::string_view body) {
  auto match = Model().MatchRoute(method, path, query);
  CHECK(match.has_value());
  return Model().DecodeInput(*match, query, {}, body);
}

constexpr std::string_view kCreate = "/2015-03-31/functions";
// A CreateFunction whose members in `extra` come on top of (or in place of) good ones.
Result<boost::json::object> Create(std::string_view extra) {
  auto body = boost::json::parse(
                  R"({"FunctionName":"f","Runtime":"python3.11","Handler":"a.b",
                      "Role":"arn:aws:iam::000000000000:role/r","Code":{"S3Bucket":"bucket"}})")
                  .as_object();
  boost::json::value members = boost::json::parse(extra);
  for (auto& [name, value] : members.as_object()) {
    body[name] = value;
  }
  return Decode("POST", kCreate, "", boost::json::serialize(body));
}

std::string CreateError(std::string_view extra) {
  auto input = Create(extra);
  if (input) return "ok";
  return std::string(input.error().name) + ": " + input.error().message;
}

TEST(LambdaModel, GathersMembersFromPathQueryAndBody) {
  auto input = Decode("PUT", "/2015-03-31/functions/f%3Alive/aliases/a", "",
                      R"({"FunctionVersion":"2","Unknown":1,"Description":null,
                          "RoutingConfig":{"AdditionalVersionWeights":{"3":1}}})");
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(boost::json::serialize(*input),
            R"({"FunctionVersion":"2","RoutingConfig":{"AdditionalVersionWeights":{"3":1E0}},)"
            R"("FunctionName":"f:live","Name":"a"})");
  input = Decode("GET", kCreate, "MaxItems=50&Marker=a%2Bb&Other=1", "");
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(boost::json::serialize(*input), R"({"Marker":"a+b","MaxItems":50})");
  input = Decode("DELETE",
                 "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
                 "tagKeys=a&tagKeys=b%20c", "");
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_EQ(boost::json::serialize(input->at("TagKeys")), R"(["a","b c"])");
}

TEST(LambdaModel, DropsWhatTheModelDoesNotKnow) {
  auto input =
      Create(R"({"StagedPath":"/etc/passwd","Code":{"S3Bucket":"bucket","StagedPath":"/x"}})");
  ASSERT_TRUE(input) << input.error().message;
  EXPECT_FALSE(input->contains("StagedPath"));
  EXPECT_EQ(boost::json::serialize(input->at("Code")), R"({"S3Bucket":"bucket"})");
}

struct ErrorCase {
  std::string_view extra, error;
};

// Wordings as recorded from AWS, where it was asked the same.
TEST(LambdaModel, WordsViolationsAsAwsDoes) {
  constexpr ErrorCase kCases[] = {
      {R"({})", "ok"},
      {R"({"MemorySize":64})",
       "ValidationException: 1 validation error detected: Value '64' at 'memorySize' failed to "
       "satisfy constraint: Member must have value greater than or equal to 128"},
      {R"({"Role":"r1"})",
       "ValidationException: 1 validation error detected: Value 'r1' at 'role' failed to satisfy "
       "constraint: Member must satisfy regular expression pattern: "
       R"(arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+)"},
      {R"({"Code":null})",
       "ValidationException: 1 validation error detected: Value null at 'code' failed to satisfy "
       "constraint: Member must not be null"},
      {R"({"Architectures":["x86_64","arm64"]})",
       "ValidationException: 1 validation error detected: Value '[x86_64, arm64]' at "
       "'architectures' failed to satisfy constraint: Member must have length less than or equal "
       "to 1"},
      {R"({"Architectures":["X86_64"]})",
       "ValidationException: 1 validation error detected: Value '[X86_64]' at 'architectures' "
       "failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum "
       "value set: [x86_64, arm64], Member must not be null]"},
      {R"({"SnapStart":{"ApplyOn":"invalidOption"}})",
       "ValidationException: 1 validation error detected: Value 'invalidOption' at "
       "'snapStart.applyOn' failed to satisfy constraint: Member must satisfy enum value set: "
       "[PublishedVersions, None]"},
      {R"({"Layers":["arn:aws:lambda:us-east-1:111111111111:layer:x"]})",
       "ValidationException: 1 validation error detected: Value "
       "'[arn:aws:lambda:us-east-1:111111111111:layer:x]' at 'layers' failed to satisfy "
       "constraint: Member must satisfy constraint: [Member must have length less than or equal "
       "to 2048, Member must have length greater than or equal to 1, Member must satisfy regular "
       "expression pattern: "
       R"((arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+))"
       ", Member must not be null]"},
      {R"({"Environment":{"Variables":{"1A":"secret"}}})",
       "ValidationException: 1 validation error detected: Value at 'environment.variables' failed "
       "to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular "
       "expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"},
      {R"({"VpcConfig":{"SubnetIds":["bad"]}})",
       "ValidationException: 1 validation error detected: Value '[bad]' at 'vpcConfig.subnetIds' "
       "failed to satisfy constraint: Member must satisfy constraint: [Member must have length "
       "less than or equal to 1024, Member must have length greater than or equal to 0, Member "
       "must satisfy regular expression pattern: subnet-[0-9a-z]*]"},
      {R"({"FileSystemConfigs":[{"Arn":"x"}]})",
       "ValidationException: 2 validation errors detected: Value 'x' at "
       "'fileSystemConfigs.1.member.arn' failed to satisfy constraint: Member must satisfy regular "
       "expression pattern: "
       R"(arn:aws[a-zA-Z-]*:elasticfilesystem:(eusc-)?[a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-\d{1}:\d{12}:access-point/fsap-[a-f0-9]{17}$|^arn:aws[-a-z]*:s3files:[0-9a-z-:]+:file-system/fs-[0-9a-f]{17,40}/access-point/fsap-[0-9a-f]{17,40})"
       "; Value null at 'fileSystemConfigs.1.member.localMountPath' failed to satisfy constraint: "
       "Member must not be null"},
      {R"({"Runtime":"non-existent-runtime"})", "ok"},  // the registry's to refuse
      {R"({"MemorySize":"128"})",
       "SerializationException: STRING_VALUE can not be converted to an Integer at 'memorySize'"},
      {R"({"MemorySize":128.5})",
       "SerializationException: NUMBER_VALUE can not be converted to an Integer at 'memorySize'"},
      {R"({"MemorySize":1e300})",
       "SerializationException: NUMBER_VALUE can not be converted to an Integer at 'memorySize'"},
      {R"({"MemorySize":128.0})", "ok"},
      {R"({"Publish":"true"})",
       "SerializationException: STRING_VALUE can not be converted to a Boolean at 'publish'"},
      {R"({"Code":[]})",
       "SerializationException: Start of structure or map or list found where not expected at "
       "'code'"},
      {R"({"Code":{"ZipFile":"not base64!"}})",
       "SerializationException: STRING_VALUE can not be converted to a Blob at 'code.zipFile'"},
      {R"({"Tags":"x"})", "SerializationException: Expected a structure or map at 'tags'"},
  };
  for (const ErrorCase& c : kCases) EXPECT_EQ(CreateError(c.extra), c.error) << c.extra;
}

TEST(LambdaModel, TellsSeveralViolationsWithThoseOfThePathLast) {
  auto input = Decode("GET", "/2015-03-31/functions/my%21", "Qualifier=invalid%21", "");
  ASSERT_FALSE(input);
  EXPECT_EQ(
      input.error().message,
      "2 validation errors detected: Value 'invalid!' at 'qualifier' failed to satisfy constraint: "
      R"(Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+; )"
      "Value 'my!' at 'functionName' failed to satisfy constraint: Member must satisfy regular "
      "expression pattern: "
      R"((arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?)");
}

TEST(LambdaModel, RefusesNamesThatPatternsLookAroundFor) {
  auto alias = [](std::string_view name) {
    auto input =
        Decode("POST", "/2015-03-31/functions/f/aliases", "",
               std::string(R"({"FunctionVersion":"1","Name":")") + std::string(name) + "\"}");
    return input ? "ok" : input.error().message;
  };
  EXPECT_EQ(alias("live"), "ok");
  EXPECT_EQ(alias("2024a"), "ok");
  EXPECT_EQ(alias("2024"),
            "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)");
}

TEST(LambdaModel, WordsMapsAndListsOfTheQuery) {
  auto input = Decode("POST", "/2015-03-31/functions/f/aliases", "",
                      R"({"FunctionVersion":"1","Name":"a",
                          "RoutingConfig":{"AdditionalVersionWeights":{"$LATEST":0.5,"2":2.0}}})");
  ASSERT_FALSE(input);
  EXPECT_THAT(
      input.error().message,
      testing::AllOf(
          testing::HasSubstr("Value '{$LATEST=0.5, 2=2.0}' at "
                             "'routingConfig.additionalVersionWeights' failed to satisfy "
                             "constraint: Map keys must satisfy constraint: [Member must have "
                             "length less than or equal to 1024, Member must have length greater "
                             "than or equal to 1, Member must satisfy regular expression pattern: "
                             "[0-9]+]"),
          testing::HasSubstr("Map value must satisfy constraint: [Member must have value less than "
                             "or equal to 1.0, Member must have value greater than or equal to "
                             "0.0, Member must not be null]")));
  input = Decode("DELETE",
                 "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
                 "", "");
  ASSERT_FALSE(input);
  EXPECT_EQ(input.error().message,
            "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: "
            "Member must not be null");
  input = Decode("POST", "/2018-10-31/layers/l/versions", "",
                 R"({"Content":{},"CompatibleRuntimes":["invalidruntime"],
                     "CompatibleArchitectures":["invalidarch"]})");
  ASSERT_FALSE(input);
  EXPECT_THAT(input.error().message,
              testing::StartsWith("2 validation errors detected: Value '[invalidruntime]' at "
                                  "'compatibleRuntimes' failed to satisfy constraint: Member must "
                                  "satisfy enum value set: [nodejs20.x, python3.14, "));
}

TEST(LambdaModel, SaysWhereABodyIsNotJson) {
  auto input = Decode("POST", kCreate, "", "{\"a\":\n 1,}");
  ASSERT_FALSE(input);
  EXPECT_EQ(input.error().name, "InvalidRequestContentException");
  EXPECT_THAT(
      input.error().message,
      testing::MatchesRegex("Could not parse request body into json: .* at line: 2, column: .*"));
  EXPECT_FALSE(Decode("POST", kCreate, "", "[]"));
  EXPECT_FALSE(Decode("POST", kCreate, "", std::string(100, '[')));
}

TEST(LambdaModel, BoundsWhatItPrintsOfAValue) {
  std::string error = CreateError("{\"Role\":\"" + std::string(100'000, 'x') + "\"}");
  EXPECT_LT(error.size(), 4000u);
  EXPECT_THAT(error, testing::HasSubstr("xxx...' at 'role'"));
}

TEST(LambdaModel, ChecksNamesAndQualifiersOfInvocations) {
  EXPECT_TRUE(Model().CheckInvokeTarget("f", ""));
  EXPECT_TRUE(Model().CheckInvokeTarget("f:live", "$LATEST"));
  EXPECT_TRUE(Model().CheckInvokeTarget(std::string(65, 'a'), "1"));
  EXPECT_FALSE(Model().CheckInvokeTarget("my-function!", ""));
  EXPECT_FALSE(Model().CheckInvokeTarget("f", "invalid!"));
  EXPECT_FALSE(Model().CheckInvokeTarget("\xff", ""));
  auto result = Model().CheckInvokeTarget("f", std::string(129, 'a'));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "1 validation error detected: Value '" + std::string(129, 'a') +
                "' at 'qualifier' failed to satisfy constraint: Member must have length less than "
                "or equal to 128");
}

}  // namespace
}  // namespace samovar
