// How a version is launched that is a container image (PlanLaunch).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/launch_plan.h"
#include "sandbox/spawner_protocol.h"

namespace samovar {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

class ImagePlanTest : public testing::Test {
 protected:
  SandboxSpec Plan() {
    Version version;
    version.function = "shop";
    version.number = "7";
    version.runtime = kImageRuntime;
    version.environment = {{"B", "of the function"}};
    version.image = std::make_shared<const VersionImage>(image_);
    LaunchOptions options;
    options.runtimes_dir = "/usr/lib/samovar/runtimes";
    options.clones = true;
    const auto runtime = RuntimeCatalog().Find(version.runtime);
    EXPECT_TRUE(runtime);
    auto spec = PlanLaunch(version, *runtime, "0123", WallTime(), options);
    EXPECT_TRUE(spec) << spec.error().message;
    if (!spec) return {};
    const auto good = CheckSpec(*spec);
    EXPECT_TRUE(good) << good.error().message;
    return *spec;
  }

  VersionImage image_{
      .folders = {"/data/layers/a/tree", "/data/layers/b/tree"},
      .program = {"run", "fast"},
      .environment = {"A=of the image", "B=of the image", "=odd", "LAMBDA_TASK_ROOT=/task"},
      .working_folder = "",
      .http_port = 0};
};

TEST_F(ImagePlanTest, TheImageIsTheRootAndItsProgramSpeaksTheRuntimeApi) {
  const auto spec = Plan();
  EXPECT_EQ(spec.image, image_.folders);
  EXPECT_THAT(spec.argv, ElementsAre("run", "fast"));
  EXPECT_EQ(spec.cwd, "/");
  EXPECT_TRUE(spec.runtime_api);
  EXPECT_FALSE(spec.channel || spec.clonable || spec.boot);
  EXPECT_TRUE(spec.mounts.empty());
}

TEST_F(ImagePlanTest, LaysTheFunctionsVariablesOverTheImages) {
  const auto spec = Plan();
  EXPECT_THAT(spec.env, Contains("A=of the image"));
  EXPECT_THAT(spec.env, Contains("B=of the function"));
  EXPECT_THAT(spec.env, Contains("LAMBDA_TASK_ROOT=/task"));
  EXPECT_THAT(spec.env, Contains("AWS_LAMBDA_FUNCTION_NAME=shop"));
  EXPECT_THAT(spec.env, Not(Contains(StartsWith("_HANDLER="))));
  EXPECT_THAT(spec.env, Not(Contains(StartsWith("LD_LIBRARY_PATH="))));
}

TEST_F(ImagePlanTest, APortPutsTheWrapperBetweenChannelAndProgram) {
  image_.http_port = 8080;
  image_.working_folder = "/srv";
  const auto spec = Plan();
  EXPECT_THAT(spec.argv, ElementsAre("/.samovar/samovar-http", "8080", "run", "fast"));
  EXPECT_TRUE(spec.channel);
  EXPECT_FALSE(spec.runtime_api);
  EXPECT_EQ(spec.cwd, "/srv");
  EXPECT_THAT(spec.env, Contains("PORT=8080"));
  ASSERT_EQ(spec.mounts.size(), 1u);
  EXPECT_EQ(spec.mounts[0].target, "/.samovar");
}

TEST(ImageSpec, PassesToTheSpawnerAndIsChecked) {
  SandboxSpec spec;
  spec.id = "a";
  spec.argv = {"run"};
  spec.memory = Bytes::MiB(128);
  spec.tmp_size = Bytes::MiB(64);
  EXPECT_FALSE(CheckSpec(spec));  // a bare name is for images
  spec.image = {"/layers/a"};
  EXPECT_TRUE(CheckSpec(spec));
  const auto read = DecodeOrder(EncodeOrder({.kind = SpawnerOrder::Kind::kCreate, .spec = spec}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->spec.image, spec.image);
  spec.image = {"layers/a"};
  EXPECT_FALSE(CheckSpec(spec));
  spec.image = {"/layers/../a"};
  EXPECT_FALSE(CheckSpec(spec));
  spec.image = std::vector<std::string>(161, "/layers/a");
  EXPECT_FALSE(CheckSpec(spec));
}

}  // namespace
}  // namespace samovar
