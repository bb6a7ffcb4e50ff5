// Layers and their policies.

#include "functions/registry_for_tests.h"

namespace samovar {
namespace {

class LayerTest : public RegistryTest {
 protected:
  static constexpr const char* kLayer = "arn:aws:lambda:us-east-1:000000000000:layer:deps";

  json::object Publish(const std::string& text, std::string_view more = "{}") {
    json::object input{{"LayerName", "deps"},
                       {"Content", json::object{{"StagedPath", StageCode(text)}}}};
    for (const auto& [key, value] : json::parse(more).as_object()) input[key] = value;
    return Run("PublishLayerVersion", input);
  }
};

TEST_F(LayerTest, IsNumberedAndNeverRenumbered) {
  const auto first = Publish("1", R"({"Description": "d", "LicenseInfo": "MIT",
      "CompatibleRuntimes": ["python3.11"], "CompatibleArchitectures": ["x86_64"]})");
  EXPECT_EQ(first.at("LayerArn"), kLayer);
  EXPECT_EQ(first.at("LayerVersionArn").as_string(), std::string(kLayer) + ":1");
  EXPECT_EQ(first.at("Version").to_number<int>(), 1);
  EXPECT_EQ(first.at("LicenseInfo"), "MIT");
  EXPECT_EQ(first.at("Content").as_object().size(), 3u);
  EXPECT_EQ(Publish("2").at("Version").to_number<int>(), 2);
  EXPECT_EQ(Run("GetLayerVersion", R"({"LayerName": "deps", "VersionNumber": 1})"), first);
  EXPECT_EQ(Run("GetLayerVersion", json::object{{"LayerName", kLayer}, {"VersionNumber", 1}}),
            first);
  EXPECT_EQ(Run("GetLayerVersionByArn", json::object{{"Arn", std::string(kLayer) + ":1"}}), first);
  const auto list = Run("ListLayerVersions", R"({"LayerName": "deps"})");
  ASSERT_EQ(list.at("LayerVersions").as_array().size(), 2u);
  EXPECT_EQ(list.at("LayerVersions").at(0).at("Version").to_number<int>(), 2);
  EXPECT_FALSE(list.at("LayerVersions").at(0).as_object().contains("Content"));
  Run("DeleteLayerVersion", R"({"LayerName": "deps", "VersionNumber": 2})");
  Open();
  EXPECT_EQ(Publish("3").at("Version").to_number<int>(), 3);
}

TEST_F(LayerTest, IsListedByWhatItSuits) {
  Publish("1", R"({"CompatibleRuntimes": ["python3.11"]})");
  Publish("2", R"({"CompatibleRuntimes": ["nodejs22.x"]})");
  const auto newest = [&](std::string_view input) {
    const auto layers = Run("ListLayers", input).at("Layers").as_array();
    return layers.empty() ? 0
                          : layers.at(0).at("LatestMatchingVersion").at("Version").to_number<int>();
  };
  EXPECT_EQ(newest("{}"), 2);
  EXPECT_EQ(newest(R"({"CompatibleRuntime": "python3.11"})"), 1);
  EXPECT_EQ(newest(R"({"CompatibleRuntime": "python3.12"})"), 0);
  for (const int n : {1, 2}) {
    Run("DeleteLayerVersion", json::object{{"LayerName", "deps"}, {"VersionNumber", n}});
  }
  EXPECT_EQ(newest("{}"), 0);
  EXPECT_EQ(Run("ListLayerVersions", R"({"LayerName": "never"})"),
            json::parse(R"({"LayerVersions": []})"));
}

TEST_F(LayerTest, PagesThroughVersions) {
  for (int i = 1; i <= 5; ++i) Publish(std::to_string(i));
  std::string seen, marker;
  do {
    json::object input{{"LayerName", "deps"}, {"MaxItems", 2}};
    if (!marker.empty()) input["Marker"] = marker;
    const auto page = Run("ListLayerVersions", input);
    for (const auto& item : page.at("LayerVersions").as_array()) {
      seen += std::to_string(item.at("Version").to_number<int>());
    }
    marker = page.contains("NextMarker") ? page.at("NextMarker").as_string().c_str() : "";
  } while (!marker.empty() && seen.size() < 10);
  EXPECT_EQ(seen, "54321");
}

TEST_F(LayerTest, ComesToFunctionsInOrderAndOutlivesItsDeletion) {
  Publish("one");
  Run("PublishLayerVersion",
      json::object{{"LayerName", "more"}, {"Content", {{"StagedPath", StageCode("two")}}}});
  auto input = CreateInput("fn");
  const std::string more = "arn:aws:lambda:us-east-1:000000000000:layer:more:1";
  input["Layers"] = json::array{more, std::string(kLayer) + ":1"};
  const auto created = Run("CreateFunction", input);
  EXPECT_EQ(created.at("Layers").at(0).at("Arn").as_string(), more);
  auto version = Resolve("fn")->version;
  ASSERT_EQ(version->layer_dirs.size(), 2u);
  std::ifstream first(version->layer_dirs[0] + "/app.py");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(first), {}), "two");
  Run("DeleteLayerVersion", R"({"LayerName": "deps", "VersionNumber": 1})");
  Open();
  version = Resolve("fn")->version;
  EXPECT_EQ(version->layer_dirs.size(), 2u);
  Run("UpdateFunctionConfiguration", R"({"FunctionName": "fn", "Layers": []})");
  Settle("fn");
  EXPECT_TRUE(Resolve("fn")->version->layer_dirs.empty());
  EXPECT_FALSE(Configuration("fn").contains("Layers"));
}

TEST_F(LayerTest, IsRefusedInAwsWords) {
  Publish("1");
  Publish("2");
  auto damaged = json::object{{"LayerName", "deps"},
                              {"Content", json::object{{"StagedPath", StageDamaged()}}}};
  EXPECT_NE(ErrorOf("PublishLayerVersion", damaged).find("'app.py' is damaged"), std::string::npos);
  const auto with = [&](std::vector<std::string> layers) {
    auto input = CreateInput("fn");
    json::array list;
    for (const auto& layer : layers) list.emplace_back(layer);
    input["Layers"] = list;
    return ErrorOf("CreateFunction", input);
  };
  const std::string layer(kLayer);
  EXPECT_EQ(with({layer + ":1", layer + ":2"}),
            "InvalidParameterValueException: Two different versions of the same layer are not "
            "allowed to be referenced in the same function. " +
                layer + ":1 and " + layer + ":2 are versions of the same layer.");
  EXPECT_EQ(with({layer + ":9"}),
            "InvalidParameterValueException: Layer version " + layer + ":9 does not exist.");
  EXPECT_EQ(with({"arn:aws:lambda:eu-west-1:000000000000:layer:deps:1"}),
            "InvalidParameterValueException: Layers are not in the same region as the function. "
            "Layers are expected to be in region us-east-1.");
  const struct {
    const char *operation, *input, *error;
  } cases[] = {
      {"GetLayerVersion", R"({"LayerName": "deps", "VersionNumber": 0})",
       "InvalidParameterValueException: Layer Version Cannot be less than 1"},
      {"GetLayerVersion", R"({"LayerName": "deps", "VersionNumber": 9})",
       "ResourceNotFoundException: The resource you requested does not exist."},
      {"GetLayerVersion", R"({"LayerName": "no", "VersionNumber": 1})",
       "ResourceNotFoundException: The resource you requested does not exist."},
      {"DeleteLayerVersion", R"({"LayerName": "deps", "VersionNumber": -1})",
       "InvalidParameterValueException: Layer Version Cannot be less than 1"},
      {"DeleteLayerVersion", R"({"LayerName": "no", "VersionNumber": 1})", ""},
      {"DeleteLayerVersion", R"({"LayerName": "deps", "VersionNumber": 9})", ""},
  };
  for (const auto& [operation, input, error] : cases) EXPECT_EQ(ErrorOf(operation, input), error);
}

TEST_F(LayerTest, HasAPolicyForEachVersion) {
  Publish("1");
  const json::object add{{"LayerName", "deps"},
                         {"VersionNumber", 1},
                         {"StatementId", "s1"},
                         {"Action", "lambda:GetLayerVersion"},
                         {"Principal", "*"}};
  const auto version = [](int n) {
    return json::object{{"LayerName", "deps"}, {"VersionNumber", n}, {"StatementId", "s1"}};
  };
  EXPECT_EQ(ErrorOf("GetLayerVersionPolicy", version(1)),
            "ResourceNotFoundException: No policy is associated with the given resource.");
  const auto added = Run("AddLayerVersionPermission", add);
  EXPECT_EQ(json::parse(added.at("Statement").as_string()),
            json::parse(R"({"Sid": "s1", "Effect": "Allow", "Principal": "*",
                "Action": "lambda:GetLayerVersion",
                "Resource": "arn:aws:lambda:us-east-1:000000000000:layer:deps:1"})"));
  EXPECT_EQ(Run("GetLayerVersionPolicy", version(1)).at("RevisionId"), added.at("RevisionId"));
  EXPECT_TRUE(ErrorOf("AddLayerVersionPermission", add)
                  .starts_with("ResourceConflictException: The statement id (s1)"));
  auto stale = add;
  stale["RevisionId"] = "old";
  const std::string precondition =
      "PreconditionFailedException: The Revision Id provided does not match the latest Revision "
      "Id. Call the GetLayerPolicy API to retrieve the latest Revision Id";
  EXPECT_EQ(ErrorOf("AddLayerVersionPermission", stale), precondition);
  EXPECT_EQ(ErrorOf("RemoveLayerVersionPermission", stale), precondition);
  for (const auto* operation :
       {"GetLayerVersionPolicy", "RemoveLayerVersionPermission", "AddLayerVersionPermission"}) {
    EXPECT_EQ(
        ErrorOf(operation, version(2)),
        std::string("ResourceNotFoundException: Layer version ") + kLayer + ":2 does not exist.");
  }
  Run("RemoveLayerVersionPermission", version(1));
  EXPECT_NE(ErrorOf("GetLayerVersionPolicy", version(1)), "");
  EXPECT_EQ(ErrorOf("RemoveLayerVersionPermission", version(1)),
            "ResourceNotFoundException: Statement s1 is not found in resource policy.");
}

}  // namespace
}  // namespace samovar
