// Versions and aliases, as AWS was recorded to answer them.

#include "functions/registry_for_tests.h"

namespace samovar {
namespace {

TEST_F(RegistryTest, PublishesWhatLatestIsAndOnlyOnce) {
  Create("fn", "1");
  Run("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "Description": "latest"})");
  Settle("fn");
  const auto revision = Configuration("fn").at("RevisionId");
  const auto first = Run("PublishVersion", R"({"FunctionName": "fn", "Description": "one"})");
  EXPECT_EQ(first.at("Version"), "1");
  EXPECT_EQ(first.at("FunctionArn").as_string(), std::string(kArn) + "fn:1");
  EXPECT_EQ(first.at("Description"), "one");
  EXPECT_EQ(first.at("State"), "Active");
  EXPECT_EQ(first.at("LastUpdateStatus"), "Successful");
  EXPECT_NE(Configuration("fn").at("RevisionId"), revision);
  EXPECT_EQ(Run("PublishVersion", R"({"FunctionName": "fn"})"), first);
  EXPECT_EQ(Configuration("fn", "1"), first);

  UpdateCode("fn", "2");
  const auto second = Run("PublishVersion", R"({"FunctionName": "fn"})");
  EXPECT_EQ(second.at("Version"), "2");
  EXPECT_EQ(second.at("Description"), "latest");
  const auto list = Run("ListVersionsByFunction", R"({"FunctionName": "fn"})");
  std::vector<std::string> arns;
  for (const auto& item : list.at("Versions").as_array()) {
    arns.emplace_back(item.at("FunctionArn").as_string());
    EXPECT_FALSE(item.as_object().contains("State"));
  }
  const std::string arn = std::string(kArn) + "fn:";
  EXPECT_EQ(arns, (std::vector<std::string>{arn + "$LATEST", arn + "1", arn + "2"}));
}

TEST_F(RegistryTest, GivesPublishedVersionsTheirOwnInstances) {
  Create("fn", "1");
  Run("UpdateFunctionConfiguration",
      R"({"FunctionName": "fn", "SnapStart": {"ApplyOn": "PublishedVersions"}})");
  Settle("fn");
  const auto published = Run("PublishVersion", R"({"FunctionName": "fn"})");
  EXPECT_EQ(published.at("SnapStart").at("OptimizationStatus"), "On");
  const auto version = Resolve("fn", "1")->version;
  EXPECT_EQ(version->number, "1");
  EXPECT_TRUE(version->snap_start);
  EXPECT_EQ(version->Arn(), std::string(kArn) + "fn:1");
  EXPECT_EQ(version->code_dir, Resolve("fn")->version->code_dir);
  retired_.clear();
  UpdateCode("fn", "2");
  EXPECT_EQ(Resolve("fn:1")->version, version);
  EXPECT_EQ(retired_.size(), 1u);  // $LATEST's alone
}

TEST_F(RegistryTest, ChecksTheHashBeforePublishing) {
  const auto created = Create("fn");
  const std::string current(created.at("CodeSha256").as_string());
  EXPECT_EQ(ErrorOf("PublishVersion", R"({"FunctionName": "fn", "CodeSha256": "other"})"),
            "InvalidParameterValueException: CodeSHA256 (other) is different from current "
            "CodeSHA256 in $LATEST (" +
                current + "). Please try again with the CodeSHA256 in $LATEST.");
  Run("PublishVersion", json::object{{"FunctionName", "fn"}, {"CodeSha256", current}});
}

TEST_F(RegistryTest, PublishesOnCreationAndOnUpdate) {
  auto input = CreateInput("fn", "1");
  input["Publish"] = true;
  const auto created = Run("CreateFunction", input);
  EXPECT_EQ(created.at("Version"), "1");
  EXPECT_EQ(created.at("FunctionArn").as_string(), std::string(kArn) + "fn");
  EXPECT_EQ(created.at("State"), "Pending");
  EXPECT_EQ(Resolve("fn", "1")->version->number, "1");  // waits
  EXPECT_EQ(Configuration("fn", "1").at("LastUpdateStatus"), "Successful");
  EXPECT_EQ(Run("PublishVersion", R"({"FunctionName": "fn"})").at("Version"), "1");

  const auto updated =
      Run("UpdateFunctionCode",
          json::object{{"FunctionName", "fn"}, {"StagedPath", StageCode("2")}, {"Publish", true}});
  EXPECT_EQ(updated.at("Version"), "2");
  EXPECT_EQ(updated.at("FunctionArn").as_string(), std::string(kArn) + "fn:2");
  EXPECT_EQ(updated.at("State"), "Pending");
  EXPECT_FALSE(updated.contains("LastUpdateStatus"));
  EXPECT_EQ(Configuration("fn").at("LastUpdateStatus"), "InProgress");
  EXPECT_EQ(Configuration("fn", "2").at("State"), "Pending");
  packages_->Release();
  EXPECT_EQ(Resolve("fn", "2")->version->number, "2");
}

TEST_F(RegistryTest, DeletesVersionsThatNoAliasNeeds) {
  Create("fn", "1");
  Run("PublishVersion", R"({"FunctionName": "fn"})");
  Run("CreateAlias", R"({"FunctionName": "fn", "Name": "live", "FunctionVersion": "1"})");
  EXPECT_EQ(ErrorOf("DeleteFunction", R"({"FunctionName": "fn:1"})"),
            "ResourceConflictException: Unable to delete version because the following aliases "
            "reference it: [live]");
  EXPECT_EQ(ErrorOf("DeleteFunction", R"({"FunctionName": "fn", "Qualifier": "$LATEST"})"),
            "InvalidParameterValueException: $LATEST version cannot be deleted without deleting "
            "the function.");
  EXPECT_EQ(ErrorOf("DeleteFunction", R"({"FunctionName": "fn", "Qualifier": "live"})"),
            "InvalidParameterValueException: Deletion of aliases is not currently supported.");
  Run("DeleteAlias", R"({"FunctionName": "fn", "Name": "live"})");
  const auto key = Resolve("fn", "1")->version->Key();
  Run("DeleteFunction", R"({"FunctionName": "fn", "Qualifier": "1"})");
  EXPECT_EQ(retired_, std::vector<std::string>{key});
  EXPECT_FALSE(Resolve("fn", "1"));
  EXPECT_FALSE(kv_.Get("functions/version/fn/00000000000000000001")->has_value());
  EXPECT_EQ(Run("DeleteFunction", R"({"FunctionName": "fn", "Qualifier": "9"})").at("StatusCode"),
            204);
  // A number is never given twice.
  EXPECT_EQ(Run("PublishVersion", R"({"FunctionName": "fn"})").at("Version"), "2");
}

class AliasTest : public RegistryTest {
 protected:
  AliasTest() {
    Create("fn", "1");
    Run("PublishVersion", R"({"FunctionName": "fn"})");
    UpdateCode("fn", "2");
    Run("PublishVersion", R"({"FunctionName": "fn"})");
  }
};

TEST_F(AliasTest, IsAnsweredAsItWasMade) {
  auto alias = Run("CreateAlias", R"({"FunctionName": "fn", "Name": "live",
      "FunctionVersion": "1", "Description": "d",
      "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}}})");
  EXPECT_EQ(Run("GetAlias", R"({"FunctionName": "fn", "Name": "live"})"), alias);
  alias.erase("RevisionId");
  EXPECT_EQ(alias, json::parse(R"({
      "AliasArn": "arn:aws:lambda:us-east-1:000000000000:function:fn:live", "Name": "live",
      "FunctionVersion": "1", "Description": "d",
      "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}}})"));
  const auto plain = Run("UpdateAlias", R"({"FunctionName": "fn", "Name": "live",
      "RoutingConfig": {"AdditionalVersionWeights": {}}})");
  EXPECT_FALSE(plain.contains("RoutingConfig"));
  EXPECT_EQ(plain.at("Description"), "d");
  EXPECT_EQ(Configuration("fn", "live").at("FunctionArn").as_string(),
            std::string(kArn) + "fn:live");
  EXPECT_EQ(Configuration("fn", "live").at("Version"), "1");
}

TEST_F(AliasTest, RoutesByWeight) {
  Run("CreateAlias", R"({"FunctionName": "fn", "Name": "live", "FunctionVersion": "1",
      "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.25}}})");
  for (const auto& [drawn, number] :
       {std::pair{0.0, "2"}, {0.249, "2"}, {0.25, "1"}, {0.999, "1"}}) {
    drawn_ = drawn;
    const auto resolved = Resolve("fn", "live");
    EXPECT_EQ(resolved->version->number, number) << drawn;
    EXPECT_EQ(resolved->invoked_arn, std::string(kArn) + "fn:live");
  }
}

TEST_F(AliasTest, IsRefusedInAwsWords) {
  Run("CreateAlias", R"({"FunctionName": "fn", "Name": "taken", "FunctionVersion": "1"})");
  const struct {
    const char *operation, *input, *error;
  } cases[] = {
      {"CreateAlias", R"({"FunctionName": "fn", "Name": "taken", "FunctionVersion": "1"})",
       "ResourceConflictException: Alias already exists: ARNfn:taken"},
      {"CreateAlias", R"({"FunctionName": "fn", "Name": "2024", "FunctionVersion": "1"})",
       "ValidationException: 1 validation error detected: Value '2024' at 'name' failed to satisfy "
       "constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"},
      {"CreateAlias", R"({"FunctionName": "fn", "Name": "a", "FunctionVersion": "10"})",
       "ResourceNotFoundException: Function not found: ARNfn:10"},
      {"CreateAlias", R"({"FunctionName": "no", "Name": "a", "FunctionVersion": "1"})",
       "ResourceNotFoundException: Function not found: ARNno:1"},
      {"CreateAlias", R"({"FunctionName": "fn", "Name": "a", "FunctionVersion": "1",
          "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1, "3": 0.1}}})",
       "InvalidParameterValueException: Number of items in AdditionalVersionWeights cannot be "
       "greater than 1"},
      {"CreateAlias", R"({"FunctionName": "fn", "Name": "a", "FunctionVersion": "1",
          "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}})",
       "InvalidParameterValueException: Invalid function version 1. Function version 1 is already "
       "included in routing configuration."},
      {"CreateAlias", R"({"FunctionName": "fn", "Name": "a", "FunctionVersion": "1",
          "RoutingConfig": {"AdditionalVersionWeights": {"10": 0.1}}})",
       "ResourceNotFoundException: Function not found: ARNfn:10"},
      {"CreateAlias", R"({"FunctionName": "fn", "Name": "a", "FunctionVersion": "$LATEST",
          "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}})",
       "InvalidParameterValueException: $LATEST is not supported for an alias pointing to more "
       "than 1 version"},
      {"GetAlias", R"({"FunctionName": "fn", "Name": "no"})",
       "ResourceNotFoundException: Cannot find alias arn: ARNfn:no"},
      {"UpdateAlias", R"({"FunctionName": "fn", "Name": "no"})",
       "ResourceNotFoundException: Alias not found: ARNfn:no"},
      {"UpdateAlias", R"({"FunctionName": "fn", "Name": "taken", "RevisionId": "old"})",
       "PreconditionFailedException: The Revision Id provided does not match the latest Revision "
       "Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"},
  };
  for (const auto& [operation, input, error] : cases) {
    std::string expected(error);
    if (const auto at = expected.find("ARN"); at != std::string::npos)
      expected.replace(at, 3, kArn);
    EXPECT_EQ(ErrorOf(operation, input), expected) << input;
  }
  EXPECT_EQ(ErrorOf("DeleteAlias", R"({"FunctionName": "fn", "Name": "no"})"), "");
  EXPECT_EQ(
      Run("CreateAlias", R"({"FunctionName": "fn", "Name": "l", "FunctionVersion": "$LATEST"})")
          .at("FunctionVersion"),
      "$LATEST");
}

TEST_F(AliasTest, IsListedByNameAndByVersion) {
  for (const auto& [name, version] : {std::pair{"c", "1"}, {"a", "2"}, {"b", "1"}}) {
    Run("CreateAlias",
        json::object{{"FunctionName", "fn"}, {"Name", name}, {"FunctionVersion", version}});
  }
  const auto names = [&](std::string_view input) {
    std::string all;
    const auto answer = Run("ListAliases", input);
    for (const auto& alias : answer.at("Aliases").as_array()) {
      all += alias.at("Name").as_string();
    }
    return all + (answer.contains("NextMarker") ? "+" : "");
  };
  EXPECT_EQ(names(R"({"FunctionName": "fn"})"), "abc");
  EXPECT_EQ(names(R"({"FunctionName": "fn", "FunctionVersion": "1"})"), "bc");
  EXPECT_EQ(names(R"({"FunctionName": "fn", "MaxItems": 2})"), "ab+");
  EXPECT_EQ(names(R"({"FunctionName": "fn", "MaxItems": 2, "Marker": "b"})"), "c");
}

}  // namespace
}  // namespace samovar
