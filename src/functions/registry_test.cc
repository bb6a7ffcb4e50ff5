// The life of a function: create, get, list, update, delete, and what is left after a restart.

#include "functions/registry.h"

#include <gmock/gmock.h>

#include "functions/registry_for_tests.h"

namespace samovar {
namespace {

TEST_F(RegistryTest, AnswersACreationAsPendingAndThenActive) {
  const auto created = Run("CreateFunction", CreateInput("fn"));
  const auto expected = json::parse(R"({
    "FunctionName": "fn", "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:fn",
    "Runtime": "python3.11", "Role": "arn:aws:iam::000000000000:role/r",
    "Handler": "app.handler", "Description": "", "Timeout": 3, "MemorySize": 128,
    "Version": "$LATEST", "PackageType": "Zip", "Architectures": ["x86_64"],
    "TracingConfig": {"Mode": "PassThrough"}, "EphemeralStorage": {"Size": 512},
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/fn"},
    "State": "Pending", "StateReason": "The function is being created.",
    "StateReasonCode": "Creating"})");
  for (const auto& [key, value] : expected.as_object()) EXPECT_EQ(created.at(key), value) << key;
  EXPECT_FALSE(created.contains("LastUpdateStatus"));
  EXPECT_FALSE(created.contains("Environment"));
  EXPECT_EQ(created.at("CodeSha256").as_string().size(), 44u);
  EXPECT_GT(created.at("CodeSize").to_number<int>(), 100);

  const auto resolved = Resolve("fn");
  ASSERT_TRUE(resolved) << resolved.error().message;
  EXPECT_EQ(resolved->version->handler, "app.handler");
  EXPECT_TRUE(std::filesystem::exists(resolved->version->code_dir + "/app.py"));
  EXPECT_EQ(resolved->invoked_arn, std::string(kArn) + "fn");
  const auto active = Configuration("fn");
  EXPECT_EQ(active.at("State"), "Active");
  EXPECT_EQ(active.at("LastUpdateStatus"), "Successful");
  EXPECT_FALSE(active.contains("StateReason"));
  EXPECT_NE(active.at("RevisionId"), created.at("RevisionId"));
}

TEST_F(RegistryTest, RefusesBadCreationsByAwsWords) {
  Create("taken");
  const auto with = [&](std::string_view changes) {
    auto input = CreateInput("fn");
    for (const auto& [key, value] : json::parse(changes).as_object()) input[key] = value;
    return input;
  };
  auto no_code = CreateInput("fn");
  no_code.erase("Code");
  EXPECT_EQ(ErrorOf("CreateFunction", no_code),
            "InvalidParameterValueException: Please provide a source for function code.");
  const struct {
    std::string_view changes, error;
  } cases[] = {
      {R"({"FunctionName": "taken"})", "ResourceConflictException: Function already exist: taken"},
      {R"({"Runtime": "ruby3.3"})",
       "InvalidParameterValueException: Value ruby3.3 at 'runtime' failed to satisfy constraint: "
       "Member must satisfy enum value set: ["},
      {R"({"Runtime": "PYTHON3.11"})", "InvalidParameterValueException: Value PYTHON3.11 at"},
      {R"({"Runtime": "python3.8"})", "InvalidParameterValueException: Value python3.8 at"},
      {R"({"Runtime": "python3.011"})", "InvalidParameterValueException: Value python3.011 at"},
      {R"({"Runtime": "python3.9"})",
       "InvalidParameterValueException: The runtime parameter of python3.9 cannot be used on this "
       "host: there is python3.11 only"},
      {R"({"Handler": null})", "InvalidParameterValueException: Runtime and Handler are mandatory"},
      {R"({"Architectures": ["arm64"]})", "InvalidParameterValueException: Architectures: arm64"},
      {R"({"Environment": {"Variables": {"AWS_REGION": "x", "OK": "y"}}})",
       "InvalidParameterValueException: Lambda was unable to configure your environment variables "
       "because the environment variables you have provided contains reserved keys that are "
       "currently not supported for modification. Reserved keys used in this request: AWS_REGION"},
      {R"({"Timeout": 901})", "ValidationException: 1 validation error detected: Value '901' at"},
      {R"({"MemorySize": 127})", "ValidationException: 1 validation error detected: Value '127'"},
      {R"({"FileSystemConfigs": [{"Arn": "a", "LocalMountPath": "/mnt/x"}]})",
       ": FileSystemConfigs is not supported"},
      {R"({"PackageType": "Image"})",
       "InvalidParameterValueException: Please don't provide Handler or Runtime or Layers when the "
       "intended function PackageType is Image."},
      {R"({"Code": {"ImageUri": "x"}})",
       "InvalidParameterValueException: Please don't provide ImageUri for the code of"},
      {R"({"Code": {"S3Bucket": "mine", "S3Key": "k"}})",
       "InvalidParameterValueException: S3Bucket mine is not reachable"},
      {R"({"Code": {"S3Bucket": "samovar-uploads", "S3Key": "k"}})",
       "InvalidParameterValueException: Error occurred while GetObject. S3 Error Code: NoSuchKey."},
      {R"({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:none:1"]})",
       "InvalidParameterValueException: Layer version "
       "arn:aws:lambda:us-east-1:000000000000:layer:none:1 does not exist."},
      {R"({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}})",
       "InvalidParameterValueException: DeadLetterConfig.TargetArn"},
      {R"({"CodeSigningConfigArn": "x"})", "CodeSigningConfigNotFoundException: "},
      {R"({"FunctionName": "fn:live"})",
       "InvalidParameterValueException: A function is created without a qualifier: 'fn:live'"},
      {R"({"FunctionName": "bad name"})",
       "ValidationException: 1 validation error detected: Value 'bad name' at 'functionName'"},
      {R"({"FunctionName": "arn:aws:lambda:eu-west-1:000000000000:function:fn"})",
       "ResourceNotFoundException: Functions from 'eu-west-1' are not reachable in this region "
       "('us-east-1')"},
  };
  for (const auto& [changes, error] : cases) {
    const auto got = ErrorOf("CreateFunction", with(changes));
    EXPECT_TRUE(got.starts_with(error)) << changes << "\n got " << got;
  }
  EXPECT_TRUE(
      ErrorOf("CreateFunction", with(R"({"FunctionName": ")" + std::string(65, 'a') + "\"}"))
          .ends_with("Member must have length less than or equal to 64"));
  EXPECT_TRUE(
      ErrorOf("CreateFunction",
              with(R"({"Environment": {"Variables": {"BIG": ")" + std::string(4100, 'x') + "\"}}}"))
          .find("exceeded the 4KB limit. String measured: {\"BIG\":\"xx") != std::string::npos);
  EXPECT_EQ(registry_->Names(), std::vector<std::string>{"taken"});
}

TEST_F(RegistryTest, RemovesTheUploadOfARefusedRequest) {
  auto input = CreateInput("fn");
  input["Runtime"] = "nonsense";
  EXPECT_NE(ErrorOf("CreateFunction", input), "");
  EXPECT_EQ(Staged(), 0u);
}

TEST_F(RegistryTest, RefusesWhatIsNoZipAtOnce) {
  auto input = CreateInput("fn");
  const auto before = Staged();
  input["Code"] = json::object{{"StagedPath", Stage("no zip")}};
  EXPECT_EQ(
      ErrorOf("CreateFunction", input),
      "InvalidParameterValueException: Could not unzip uploaded file. Please check your file, "
      "then try to upload again.");
  EXPECT_EQ(Staged(), before);
}

TEST_F(RegistryTest, FailsACreationWhoseZipIsDamagedAndLetsItBeRepaired) {
  auto input = CreateInput("fn");
  input["Code"] = json::object{{"StagedPath", StageDamaged()}};
  EXPECT_EQ(Run("CreateFunction", input).at("State"), "Pending");
  const auto resolved = Resolve("fn");
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().name, "InvalidZipFileException");
  auto failed = Configuration("fn");
  EXPECT_EQ(failed.at("State"), "Failed");
  EXPECT_EQ(failed.at("StateReasonCode"), "InvalidConfiguration");
  EXPECT_NE(failed.at("StateReason").as_string().find("'app.py' is damaged"), std::string::npos);
  Open();
  EXPECT_EQ(Configuration("fn"), failed);
  UpdateCode("fn", "good");
  EXPECT_EQ(Configuration("fn").at("State"), "Active");
  EXPECT_TRUE(Resolve("fn"));
}

TEST_F(RegistryTest, GoesOnServingTheOldCodeWhereAnUpdateFails) {
  Create("fn", "old");
  const auto before = Configuration("fn");
  const auto old = Resolve("fn")->version;
  packages_->Hold();
  const auto answer = Run("UpdateFunctionCode",
                          json::object{{"FunctionName", "fn"}, {"StagedPath", StageDamaged()}});
  EXPECT_EQ(answer.at("LastUpdateStatus"), "InProgress");
  EXPECT_EQ(answer.at("LastUpdateStatusReasonCode"), "Creating");
  EXPECT_EQ(answer.at("State"), "Active");
  EXPECT_NE(answer.at("CodeSha256"), before.at("CodeSha256"));
  EXPECT_EQ(Resolve("fn")->version, old);
  packages_->Release();
  Settle("fn");
  EXPECT_EQ(Resolve("fn")->version, old);
  EXPECT_TRUE(retired_.empty());
  const auto after = Configuration("fn");
  EXPECT_EQ(after.at("LastUpdateStatus"), "Failed");
  EXPECT_EQ(after.at("CodeSha256"), before.at("CodeSha256"));
}

TEST_F(RegistryTest, RetiresTheOldVersionWhenTheNewOneServes) {
  Create("fn", "old");
  const auto old = Resolve("fn")->version;
  UpdateCode("fn", "new");
  const auto next = Resolve("fn")->version;
  EXPECT_NE(next->Key(), old->Key());
  EXPECT_NE(next->code_dir, old->code_dir);
  EXPECT_EQ(retired_, std::vector<std::string>{old->Key()});
}

TEST_F(RegistryTest, UpdatesTheConfigurationMemberByMember) {
  Create("fn");
  const auto answer = Run("UpdateFunctionConfiguration", R"({"FunctionName": "fn",
      "MemorySize": 1769, "Timeout": 30, "Description": "d", "Handler": "a.b",
      "Environment": {"Variables": {"K": "v"}}, "EphemeralStorage": {"Size": 1024},
      "TracingConfig": {"Mode": "Active"}, "VpcConfig": {"SubnetIds": ["subnet-1"]}, "KMSKeyArn": "arn:aws:kms:x",
      "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "mine"}})");
  EXPECT_EQ(answer.at("LastUpdateStatus"), "InProgress");
  Settle("fn");
  const auto version = Resolve("fn")->version;
  EXPECT_EQ(version->memory, Bytes::MiB(1769));
  EXPECT_EQ(version->timeout, std::chrono::seconds(30));
  EXPECT_EQ(version->tmp_size, Bytes::MiB(1024));
  EXPECT_EQ(version->environment, (std::map<std::string, std::string>{{"K", "v"}}));
  EXPECT_EQ(version->log_group, "mine");
  EXPECT_EQ(version->log_format, "JSON");
  const auto shown = Configuration("fn");
  EXPECT_EQ(shown.at("LoggingConfig"), json::parse(R"({"LogFormat": "JSON", "LogGroup": "mine",
      "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"})"));
  EXPECT_EQ(shown.at("VpcConfig").at("SubnetIds"), json::parse(R"(["subnet-1"])"));
  EXPECT_EQ(shown.at("Runtime"), "python3.11");

  Run("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "Environment": {},
      "KMSKeyArn": "", "LoggingConfig": {"LogFormat": "Text"}})");
  Settle("fn");
  const auto cleared = Configuration("fn");
  EXPECT_FALSE(cleared.contains("Environment"));
  EXPECT_FALSE(cleared.contains("KMSKeyArn"));
  EXPECT_EQ(cleared.at("LoggingConfig"),
            json::parse(R"({"LogFormat": "Text", "LogGroup": "mine"})"));
  EXPECT_EQ(cleared.at("MemorySize"), 1769);
}

TEST_F(RegistryTest, TakesSnapStartForPublishedVersionsWithinItsLimits) {
  Create("fn");
  Run("UpdateFunctionConfiguration",
      R"({"FunctionName": "fn", "SnapStart": {"ApplyOn": "PublishedVersions"}})");
  Settle("fn");
  EXPECT_EQ(Configuration("fn").at("SnapStart").at("ApplyOn"), "PublishedVersions");
  EXPECT_FALSE(Resolve("fn")->version->snap_start);  // $LATEST is none
  EXPECT_THAT(ErrorOf("UpdateFunctionConfiguration",
                      R"({"FunctionName": "fn", "EphemeralStorage": {"Size": 1024}})"),
              testing::HasSubstr("EphemeralStorage of more than 512 MB is not supported"));
  EXPECT_EQ(Resolve("fn")->version->tmp_size, Bytes::MiB(512));
}

TEST_F(RegistryTest, RefusesAChangeWhileAnotherIsUnderWay) {
  auto created = CreateInput("fn");
  packages_->Hold();
  Run("CreateFunction", created);
  EXPECT_EQ(ErrorOf("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "Timeout": 5})"),
            "ResourceConflictException: The operation cannot be performed at this time. The "
            "function is currently in the following state: Pending");
  packages_->Release();
  Settle("fn");
  packages_->Hold();
  Run("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "Timeout": 5})");
  const std::string busy =
      "ResourceConflictException: The operation cannot be performed at this time. An update is in "
      "progress for resource: arn:aws:lambda:us-east-1:000000000000:function:fn";
  EXPECT_EQ(ErrorOf("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "Timeout": 6})"),
            busy);
  EXPECT_EQ(ErrorOf("UpdateFunctionCode",
                    json::object{{"FunctionName", "fn"}, {"StagedPath", StageCode("2")}}),
            busy);
  EXPECT_EQ(ErrorOf("PublishVersion", R"({"FunctionName": "fn"})"), busy);
  packages_->Release();
  Settle("fn");
  EXPECT_EQ(Configuration("fn").at("Timeout"), 5);
}

TEST_F(RegistryTest, ChecksRevisionsBeforeItChangesAnything) {
  Create("fn");
  const std::string stale =
      "PreconditionFailedException: The Revision Id provided does not match the latest Revision "
      "Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id";
  const std::pair<const char*, const char*> cases[] = {
      {"UpdateFunctionConfiguration", R"({"FunctionName": "fn", "RevisionId": "old"})"},
      {"UpdateFunctionCode", R"({"FunctionName": "fn", "RevisionId": "old"})"},
      {"PublishVersion", R"({"FunctionName": "fn", "RevisionId": "old"})"}};
  for (const auto& [operation, input] : cases) EXPECT_EQ(ErrorOf(operation, input), stale);
  Run("UpdateFunctionConfiguration",
      json::object{{"FunctionName", "fn"}, {"RevisionId", Configuration("fn").at("RevisionId")}});
}

TEST_F(RegistryTest, ChangesNothingInADryRun) {
  Create("fn", "1");
  const auto before = Configuration("fn");
  const auto answer =
      Run("UpdateFunctionCode",
          json::object{{"FunctionName", "fn"}, {"StagedPath", StageCode("2")}, {"DryRun", true}});
  EXPECT_NE(answer.at("CodeSha256"), before.at("CodeSha256"));
  EXPECT_EQ(Configuration("fn"), before);
}

TEST_F(RegistryTest, TellsWhereTheCodeIsAndWhatIsReserved) {
  auto input = CreateInput("fn");
  input["Tags"] = json::object{{"k", "v"}};
  Run("CreateFunction", input);
  Settle("fn");
  Run("PutFunctionConcurrency", R"({"FunctionName": "fn", "ReservedConcurrentExecutions": 7})");
  const auto got = Run("GetFunction", R"({"FunctionName": "fn"})");
  EXPECT_EQ(got.at("Code").at("RepositoryType"), "S3");
  EXPECT_TRUE(got.at("Code")
                  .at("Location")
                  .as_string()
                  .starts_with("http://localhost:4566/samovar/v1/packages/"));
  EXPECT_EQ(got.at("Tags"), json::parse(R"({"k": "v"})"));
  EXPECT_EQ(got.at("Concurrency"), json::parse(R"({"ReservedConcurrentExecutions": 7})"));
  EXPECT_EQ(Resolve("fn")->reserved_concurrency, 7);
}

TEST_F(RegistryTest, TakesAnEarlierUploadByItsHash) {
  const auto package = packages_->Import(StageCode("uploaded"));
  ASSERT_TRUE(package);
  auto input = CreateInput("fn");
  input["Code"] = json::object{{"S3Bucket", "samovar-uploads"}, {"S3Key", package->hash}};
  EXPECT_EQ(Run("CreateFunction", input).at("CodeSha256").as_string(), package->sha256_b64.c_str());
  EXPECT_TRUE(Resolve("fn"));
}

TEST_F(RegistryTest, WordsMissingFunctionsAsAws) {
  Create("fn");
  const struct {
    const char *operation, *input, *error;
  } cases[] = {
      {"GetFunction", R"({"FunctionName": "no"})", "Function not found: ARNno"},
      {"GetFunction", R"({"FunctionName": "no", "Qualifier": "1"})", "Function not found: ARNno:1"},
      {"GetFunction", R"({"FunctionName": "fn", "Qualifier": "9"})", "Function not found: ARNfn:9"},
      {"GetFunctionConfiguration", R"({"FunctionName": "fn:live"})",
       "Function not found: ARNfn:live"},
      {"DeleteFunction", R"({"FunctionName": "no"})", "Function not found: ARNno"},
      {"DeleteFunction", R"({"FunctionName": "no", "Qualifier": "1"})",
       "Function not found: ARNno"},
      {"UpdateFunctionCode", R"({"FunctionName": "no"})", "Function not found: ARNno"},
      {"PublishVersion", R"({"FunctionName": "no"})", "Function not found: ARNno"},
      {"ListVersionsByFunction", R"({"FunctionName": "no"})", "Function not found: ARNno"},
      {"GetFunctionConcurrency", R"({"FunctionName": "no"})", "Function not found: ARNno"},
      {"PutFunctionConcurrency", R"({"FunctionName": "no", "ReservedConcurrentExecutions": 1})",
       "Function not found: ARNno:$LATEST"},
  };
  for (auto [operation, input, error] : cases) {
    std::string expected = std::string("ResourceNotFoundException: ") + error;
    expected.replace(expected.find("ARN"), 3, kArn);
    EXPECT_EQ(ErrorOf(operation, input), expected) << operation << input;
  }
  EXPECT_EQ(Resolve("no").error().message,
            std::string("Function not found: ") + kArn + "no:$LATEST");
  EXPECT_EQ(ErrorOf("GetFunction", R"({"FunctionName": "fn:1", "Qualifier": "2"})"),
            "InvalidParameterValueException: The derived qualifier from the function name does not "
            "match the specified qualifier.");
}

TEST_F(RegistryTest, ListsInPagesThatTogetherAreEverything) {
  std::set<std::string> expected;
  for (int i = 0; i < 7; ++i) {
    const auto name = "fn-" + std::to_string(i);
    Create(name);
    expected.insert(name);
  }
  Run("PublishVersion", R"({"FunctionName": "fn-3"})");
  for (const auto& [filter, count] : {std::pair{"", 7}, std::pair{"ALL", 8}}) {
    std::set<std::string> seen;
    std::string marker;
    int items = 0, pages = 0;
    do {
      json::object input{{"MaxItems", 3}};
      if (*filter) input["FunctionVersion"] = filter;
      if (!marker.empty()) input["Marker"] = marker;
      const auto page = Run("ListFunctions", input);
      EXPECT_LE(page.at("Functions").as_array().size(), 3u);
      for (const auto& item : page.at("Functions").as_array()) {
        seen.insert(std::string(item.at("FunctionName").as_string()));
        EXPECT_FALSE(item.as_object().contains("State"));
        ++items;
      }
      marker = page.contains("NextMarker") ? page.at("NextMarker").as_string().c_str() : "";
      ASSERT_LT(++pages, 10);
    } while (!marker.empty());
    EXPECT_EQ(seen, expected);
    EXPECT_EQ(items, count);
  }
}

TEST_F(RegistryTest, DeletesEverythingOfAFunction) {
  Create("fn");
  Run("PublishVersion", R"({"FunctionName": "fn"})");
  Run("CreateAlias", R"({"FunctionName": "fn", "Name": "live", "FunctionVersion": "1"})");
  const auto url = Run("CreateFunctionUrlConfig", R"({"FunctionName": "fn", "AuthType": "NONE"})");
  const std::set<std::string> keys{Resolve("fn")->version->Key(),
                                   Resolve("fn", "1")->version->Key()};
  EXPECT_EQ(Run("DeleteFunction", R"({"FunctionName": "fn"})").at("StatusCode"), 204);
  EXPECT_EQ(std::set(retired_.begin(), retired_.end()), keys);
  EXPECT_TRUE(kv_.Contents().empty());
  EXPECT_FALSE(Resolve("fn"));
  EXPECT_TRUE(registry_->Names().empty());
  Create("fn");
  EXPECT_FALSE(keys.contains(Resolve("fn")->version->Key()));
}

TEST_F(RegistryTest, IsTheSameAfterARestart) {
  Create("a");
  Run("PublishVersion", R"({"FunctionName": "a", "Description": "one"})");
  Run("CreateAlias", R"({"FunctionName": "a", "Name": "live", "FunctionVersion": "1"})");
  Run("TagResource",
      R"({"Resource": "arn:aws:lambda:us-east-1:000000000000:function:a", "Tags": {"k": "v"}})");
  Run("AddPermission", R"({"FunctionName": "a", "StatementId": "s", "Principal": "*",
      "Action": "lambda:InvokeFunction"})");
  Run("PutFunctionEventInvokeConfig", R"({"FunctionName": "a", "MaximumRetryAttempts": 1})");
  Run("CreateFunctionUrlConfig", R"({"FunctionName": "a", "AuthType": "AWS_IAM"})");
  Run("PutFunctionConcurrency", R"({"FunctionName": "a", "ReservedConcurrentExecutions": 3})");
  Run("PublishLayerVersion",
      json::object{{"LayerName", "deps"},
                   {"Content", json::object{{"StagedPath", StageCode("l")}}}});
  const std::pair<const char*, const char*> questions[] = {
      {"GetFunction", R"({"FunctionName": "a"})"},
      {"GetFunction", R"({"FunctionName": "a", "Qualifier": "live"})"},
      {"ListVersionsByFunction", R"({"FunctionName": "a"})"},
      {"ListAliases", R"({"FunctionName": "a"})"},
      {"GetPolicy", R"({"FunctionName": "a"})"},
      {"GetFunctionEventInvokeConfig", R"({"FunctionName": "a"})"},
      {"GetFunctionUrlConfig", R"({"FunctionName": "a"})"},
      {"ListLayers", "{}"},
      {"GetAccountSettings", "{}"},
  };
  std::vector<json::object> before;
  for (const auto& [operation, input] : questions) before.push_back(Run(operation, input));
  const auto key = Resolve("a", "live")->version->Key();
  const auto latest_key = Resolve("a")->version->Key();
  Open();
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(Run(questions[i].first, questions[i].second), before[i]) << questions[i].first;
  }
  EXPECT_EQ(Resolve("a", "live")->version->Key(), key);
  EXPECT_EQ(Resolve("a")->version->Key(), latest_key);
}

TEST_F(RegistryTest, FinishesAfterARestartWhatWasPending) {
  packages_->Hold();
  Run("CreateFunction", CreateInput("fn"));
  Open();
  EXPECT_EQ(Configuration("fn").at("State"), "Pending");
  packages_->Release();
  EXPECT_TRUE(Resolve("fn"));
  const auto old = Resolve("fn")->version->Key();
  packages_->Hold();
  Run("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "Timeout": 9})");
  packages_->Release();
  Open();
  EXPECT_EQ(Resolve("fn")->version->Key(), old);
  Settle("fn");
  EXPECT_EQ(Resolve("fn")->version->timeout, std::chrono::seconds(9));
}

TEST_F(RegistryTest, UnpacksAgainWhatWasLost) {
  Create("fn");
  std::filesystem::remove_all(dir_ + "/trees");
  std::filesystem::create_directories(dir_ + "/trees");
  Open();
  EXPECT_TRUE(std::filesystem::exists(Resolve("fn")->version->code_dir + "/app.py"));
}

TEST_F(RegistryTest, RefusesADocumentOfANewerFormat) {
  Create("fn");
  auto document = json::parse(*kv_.Get("functions/function/fn").value()).as_object();
  document["format"] = 2;
  WriteBatch batch;
  batch.Put("functions/function/fn", json::serialize(document));
  ASSERT_TRUE(kv_.Write(std::move(batch)));
  const auto opened = OpenRegistry(options_, kv_, *packages_, pool_, loop_.get_executor(), clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, "read a function: format 2 is of a newer version than this");
}

TEST_F(RegistryTest, NamesWhatItDoesNotAnswerYet) {
  for (const auto* operation : {"CreateCapacityProvider", "CreateEventSourceMapping"}) {
    const auto answer = Try(operation, "{}");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kUnsupported);
    EXPECT_EQ(answer.error().message,
              std::string(operation) + " is not supported by this server yet.");
  }
}

}  // namespace
}  // namespace samovar
