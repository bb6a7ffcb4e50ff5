// What changes promise: whole or not at all, one at a time, and nothing removed that is in use.

#include <fcntl.h>
#include <sys/stat.h>

#include "functions/registry_for_tests.h"

namespace samovar {
namespace {

class ChangesTest : public RegistryTest {
 protected:
  ChangesTest() {
    Create("fn", "1");
    Run("PublishVersion", R"({"FunctionName": "fn"})");
    Run("CreateAlias", R"({"FunctionName": "fn", "Name": "live", "FunctionVersion": "1"})");
    Run("AddPermission", R"({"FunctionName": "fn", "StatementId": "old", "Principal": "*",
        "Action": "lambda:InvokeFunction"})");
    Run("CreateFunctionUrlConfig",
        R"({"FunctionName": "fn", "Qualifier": "live", "AuthType": "NONE"})");
    Run("PutFunctionEventInvokeConfig",
        R"({"FunctionName": "fn:live", "MaximumRetryAttempts": 1})");
    Run("PublishLayerVersion",
        json::object{{"LayerName", "deps"}, {"Content", {{"StagedPath", StageCode("l")}}}});
    Run("AddLayerVersionPermission", R"({"LayerName": "deps", "VersionNumber": 1,
        "StatementId": "old", "Action": "lambda:GetLayerVersion", "Principal": "*"})");
    signing_ = Run("CreateCodeSigningConfig", "{}")
                   .at("CodeSigningConfig")
                   .at("CodeSigningConfigArn")
                   .as_string();
  }
  // Everything that the API shows.
  std::vector<json::object> Shown() {
    std::vector<json::object> all;
    const std::pair<const char*, const char*> questions[] = {
        {"ListFunctions", R"({"FunctionVersion": "ALL"})"},
        {"GetFunction", R"({"FunctionName": "fn"})"},
        {"ListAliases", R"({"FunctionName": "fn"})"},
        {"GetPolicy", R"({"FunctionName": "fn"})"},
        {"ListFunctionUrlConfigs", R"({"FunctionName": "fn"})"},
        {"ListFunctionEventInvokeConfigs", R"({"FunctionName": "fn"})"},
        {"GetFunctionRecursionConfig", R"({"FunctionName": "fn"})"},
        {"GetRuntimeManagementConfig", R"({"FunctionName": "fn"})"},
        {"GetFunctionCodeSigningConfig", R"({"FunctionName": "fn"})"},
        {"ListLayerVersions", R"({"LayerName": "deps"})"},
        {"GetLayerVersionPolicy", R"({"LayerName": "deps", "VersionNumber": 1})"},
        {"ListCodeSigningConfigs", "{}"},
        {"GetAccountSettings", "{}"}};
    for (const auto& [operation, input] : questions) all.push_back(Run(operation, input));
    return all;
  }
  std::string signing_;
};

TEST_F(ChangesTest, LeaveEverythingAsItWasWhereTheWriteFails) {
  const std::string arn = std::string(kArn) + "fn";
  const std::pair<std::string, std::function<json::object()>> changes[] = {
      {"CreateFunction", [&] { return CreateInput("other"); }},
      {"UpdateFunctionCode",
       [&] { return json::object{{"FunctionName", "fn"}, {"StagedPath", StageCode("2")}}; }},
      {"UpdateFunctionConfiguration",
       [] { return json::object{{"FunctionName", "fn"}, {"Timeout", 9}}; }},
      {"PublishVersion", [] { return json::object{{"FunctionName", "fn"}}; }},
      {"CreateAlias",
       [] {
         return json::object{{"FunctionName", "fn"}, {"Name", "b"}, {"FunctionVersion", "1"}};
       }},
      {"UpdateAlias",
       [] {
         return json::object{{"FunctionName", "fn"}, {"Name", "live"}, {"Description", "new"}};
       }},
      {"DeleteAlias", [] { return json::object{{"FunctionName", "fn"}, {"Name", "b"}}; }},
      {"AddPermission",
       [] {
         return json::object{{"FunctionName", "fn"},
                             {"StatementId", "new"},
                             {"Principal", "*"},
                             {"Action", "lambda:InvokeFunction"}};
       }},
      {"RemovePermission",
       [] { return json::object{{"FunctionName", "fn"}, {"StatementId", "new"}}; }},
      {"TagResource",
       [&] { return json::object{{"Resource", arn}, {"Tags", {{"samovar:network", "egress"}}}}; }},
      {"UntagResource",
       [&] {
         return json::object{{"Resource", arn}, {"TagKeys", json::array{"samovar:network"}}};
       }},
      {"PutFunctionConcurrency",
       [] { return json::object{{"FunctionName", "fn"}, {"ReservedConcurrentExecutions", 5}}; }},
      {"DeleteFunctionConcurrency", [] { return json::object{{"FunctionName", "fn"}}; }},
      {"CreateFunctionUrlConfig",
       [] { return json::object{{"FunctionName", "fn"}, {"AuthType", "NONE"}}; }},
      {"UpdateFunctionUrlConfig",
       [] { return json::object{{"FunctionName", "fn"}, {"AuthType", "AWS_IAM"}}; }},
      {"DeleteFunctionUrlConfig", [] { return json::object{{"FunctionName", "fn"}}; }},
      {"PutFunctionEventInvokeConfig",
       [] { return json::object{{"FunctionName", "fn"}, {"MaximumRetryAttempts", 1}}; }},
      {"UpdateFunctionEventInvokeConfig",
       [] { return json::object{{"FunctionName", "fn"}, {"MaximumRetryAttempts", 0}}; }},
      {"DeleteFunctionEventInvokeConfig", [] { return json::object{{"FunctionName", "fn"}}; }},
      {"PutFunctionRecursionConfig",
       [] { return json::object{{"FunctionName", "fn"}, {"RecursiveLoop", "Allow"}}; }},
      {"PutRuntimeManagementConfig",
       [] { return json::object{{"FunctionName", "fn"}, {"UpdateRuntimeOn", "FunctionUpdate"}}; }},
      {"PublishLayerVersion",
       [&] {
         return json::object{{"LayerName", "deps"}, {"Content", {{"StagedPath", StageCode("m")}}}};
       }},
      {"AddLayerVersionPermission",
       [] {
         return json::object{{"LayerName", "deps"},
                             {"VersionNumber", 1},
                             {"StatementId", "new"},
                             {"Action", "lambda:GetLayerVersion"},
                             {"Principal", "*"}};
       }},
      {"RemoveLayerVersionPermission",
       [] {
         return json::object{{"LayerName", "deps"}, {"VersionNumber", 1}, {"StatementId", "new"}};
       }},
      {"DeleteLayerVersion",
       [] { return json::object{{"LayerName", "deps"}, {"VersionNumber", 2}}; }},
      {"UpdateCodeSigningConfig",
       [&] { return json::object{{"CodeSigningConfigArn", signing_}, {"Description", "new"}}; }},
      {"CreateCodeSigningConfig", [] { return json::object{{"Description", "second"}}; }},
      {"PutFunctionCodeSigningConfig",
       [&] { return json::object{{"FunctionName", "fn"}, {"CodeSigningConfigArn", signing_}}; }},
      {"DeleteFunctionCodeSigningConfig", [] { return json::object{{"FunctionName", "fn"}}; }},
      {"DeleteCodeSigningConfig", [&] { return json::object{{"CodeSigningConfigArn", signing_}}; }},
      {"DeleteFunction", [] { return json::object{{"FunctionName", "other"}}; }},
  };
  for (const auto& [operation, input] : changes) {
    const auto shown = Shown();
    const auto stored = kv_.Contents();
    const auto latest = Resolve("fn")->version;
    retired_.clear();
    kv_.FailWrites(1);
    const auto failed = Try(operation, input());
    ASSERT_FALSE(failed) << operation;
    EXPECT_EQ(failed.error().code, Code::kUnavailable) << operation;
    EXPECT_EQ(kv_.Contents(), stored) << operation;
    EXPECT_EQ(Shown(), shown) << operation;
    EXPECT_EQ(Resolve("fn")->version, latest) << operation;
    EXPECT_TRUE(retired_.empty()) << operation;
    // And the disk's recovery is all that is needed.
    const auto again = Try(operation, input());
    ASSERT_TRUE(again) << operation << ": " << again.error().message;
    for (const auto& name : registry_->Names()) Settle(name);
    EXPECT_NE(kv_.Contents(), stored) << operation;
  }
  // What the API shows is what the disk holds.
  const auto shown = Shown();
  Open();
  EXPECT_EQ(Shown(), shown);
}

TEST_F(ChangesTest, TryAgainToKeepAStateThatCouldNotBeWritten) {
  packages_->Hold();
  Run("CreateFunction", CreateInput("late"));
  kv_.FailWrites(1);
  packages_->Release();
  EXPECT_TRUE(Resolve("late"));
  EXPECT_EQ(Configuration("late").at("State"), "Active");
}

TEST_F(ChangesTest, DoNotCross) {
  constexpr int kMany = 24;
  int done = 0, made = 0;
  for (int i = 0; i < kMany; ++i) {
    const json::object input{{"FunctionName", "fn"},
                             {"StatementId", "s" + std::to_string(i)},
                             {"Principal", "*"},
                             {"Action", "lambda:InvokeFunction"}};
    asio::co_spawn(loop_, registry_->Execute("AddPermission", input),
                   [&](std::exception_ptr, Result<json::object> answer) {
                     EXPECT_TRUE(answer);
                     ++done;
                   });
    asio::co_spawn(loop_, registry_->Execute("CreateFunction", CreateInput("same")),
                   [&](std::exception_ptr, Result<json::object> answer) {
                     made += answer.has_value();
                     ++done;
                   });
  }
  while (done < 2 * kMany) loop_.run_one();
  EXPECT_EQ(made, 1);
  const auto policy =
      json::parse(Run("GetPolicy", R"({"FunctionName": "fn"})").at("Policy").as_string());
  EXPECT_EQ(policy.at("Statement").as_array().size(), kMany + 1u);
  Settle("same");
  EXPECT_EQ(Staged(), 0u);
}

TEST_F(ChangesTest, WakeThoseWhoWaitForAFunctionThatIsDeleted) {
  packages_->Hold();
  Run("CreateFunction", CreateInput("late"));
  std::optional<Result<Resolved>> resolved;
  asio::co_spawn(
      loop_, registry_->Resolve("late", ""),
      [&](std::exception_ptr, Result<Resolved> result) { resolved = std::move(result); });
  Run("DeleteFunction", R"({"FunctionName": "late"})");
  while (!resolved) loop_.run_one();
  ASSERT_FALSE(*resolved);
  EXPECT_EQ(resolved->error().name, "ResourceNotFoundException");
  // The unpacking of the deleted function touches nothing of the next one of that name.
  Run("CreateFunction", CreateInput("late", "second"));
  packages_->Release();
  EXPECT_TRUE(Resolve("late"));
}

TEST_F(ChangesTest, RemoveAPackageOnlyWhenNoInstanceLives) {
  options_.collect_delay = std::chrono::milliseconds(1);
  Create("other", "o");
  Create("kept", "k");
  const auto passes = [&](int count) {
    while (packages_->Collections() < count) loop_.run_one_for(std::chrono::milliseconds(5));
  };
  const auto before = packages_->Collections();
  Open();
  passes(before + 1);
  auto running = Resolve("fn")->version;
  const auto blob_of = [&](const std::string& code_dir) {
    const auto blob = packages_->BlobPath(std::filesystem::path(code_dir).filename());
    const timespec old{time(nullptr) - 7200, 0};
    const timespec times[2] = {old, old};
    EXPECT_EQ(utimensat(AT_FDCWD, blob.c_str(), times, 0), 0);
    return blob;
  };
  const auto first = blob_of(running->code_dir);
  const auto second = blob_of(Resolve("other")->version->code_dir);
  const auto third = blob_of(Resolve("kept")->version->code_dir);
  Run("DeleteFunction", R"({"FunctionName": "fn"})");
  passes(before + 2);
  EXPECT_TRUE(std::filesystem::exists(first));  // an instance may still run it
  EXPECT_TRUE(std::filesystem::exists(running->code_dir));
  running.reset();
  Run("DeleteFunction", R"({"FunctionName": "other"})");
  passes(before + 3);
  EXPECT_FALSE(std::filesystem::exists(first));
  EXPECT_FALSE(std::filesystem::exists(second));
  EXPECT_TRUE(std::filesystem::exists(third));
}

}  // namespace
}  // namespace samovar
