#include "sandbox/launch_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

namespace samovar {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kId = "0123456789abcdef0123456789abcdef";

class LaunchPlanTest : public testing::Test {
 protected:
  LaunchPlanTest() {
    char name[] = "/tmp/launch_plan_XXXXXX";
    root_ = ::mkdtemp(name);
    version_.function = "shop";
    version_.number = "7";
    version_.runtime = "python3.11";
    version_.handler = "app.handler";
    version_.memory = Bytes::MiB(512);
    version_.code_dir = (root_ / "code").string();
    version_.log_group = "/aws/lambda/shop";
    options_.runtimes_dir = "/usr/lib/samovar/runtimes";
    options_.host_cpus = 4;
  }
  ~LaunchPlanTest() override { fs::remove_all(root_); }

  void Write(const std::string& path, fs::perms mode) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << "x";
    fs::permissions(root_ / path, mode);
  }
  Result<SandboxSpec> Try() {
    // 2027-01-15 08:00 UTC
    return PlanLaunch(version_, runtime_, kId, WallTime(std::chrono::seconds(1'800'000'000)),
                      options_);
  }
  SandboxSpec Plan() {
    auto spec = Try();
    EXPECT_TRUE(spec) << spec.error().message;
    return spec ? *spec : SandboxSpec{};
  }
  static std::map<std::string, std::string> EnvironmentOf(const SandboxSpec& spec) {
    std::map<std::string, std::string> env;
    for (const std::string& entry : spec.env) {
      const std::size_t at = entry.find('=');
      EXPECT_TRUE(env.emplace(entry.substr(0, at), entry.substr(at + 1)).second) << entry;
    }
    return env;
  }
  std::map<std::string, std::string> Environment() { return EnvironmentOf(Plan()); }
  void UseNode() {
    version_.runtime = "nodejs20.x";
    runtime_ = {Runtime::Kind::kNode, "nodejs20.x", "20.1.0", "/usr/bin/node", {}};
  }
  void UseProvided() {
    version_.runtime = "provided.al2023";
    runtime_ = {Runtime::Kind::kProvided, "provided.al2023", "", "", {}};
  }
  static std::vector<std::string> Targets(const SandboxSpec& spec) {
    std::vector<std::string> targets;
    for (const BindMount& mount : spec.mounts) targets.push_back(mount.target);
    return targets;
  }

  fs::path root_;
  Version version_;
  Runtime runtime_{
      Runtime::Kind::kPython, "python3.11", "3.11.7", "/py/3.11.7/bin/python3.11", {"/py/3.11.7"}};
  LaunchOptions options_;
};

TEST_F(LaunchPlanTest, RunsAModelWithOurProgramAndLoadsNothingFromItsPackage) {
  version_.runtime = "onnx";
  version_.handler = "model.onnx";
  version_.environment["AWS_LAMBDA_EXEC_WRAPPER"] = "/var/task/wrap";
  runtime_ = {Runtime::Kind::kOnnx, "onnx", "1.32.0", "/usr/lib/samovar/runtimes/onnx/x", {}};
  const auto spec = Plan();
  EXPECT_EQ(spec.argv, std::vector<std::string>{"/var/runtime/samovar-onnx"});
  EXPECT_TRUE(spec.channel);
  EXPECT_THAT(Targets(spec), testing::UnorderedElementsAre("/var/task", "/var/runtime"));
  const auto env = EnvironmentOf(spec);
  EXPECT_FALSE(env.contains("LD_LIBRARY_PATH"));
  EXPECT_EQ(env.at("_HANDLER"), "model.onnx");
}

TEST_F(LaunchPlanTest, GivesTheVariablesThatLambdaGives) {
  const auto env = Environment();
  const std::map<std::string, std::string> wanted = {
      {"AWS_LAMBDA_FUNCTION_NAME", "shop"},
      {"AWS_LAMBDA_FUNCTION_VERSION", "7"},
      {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"},
      {"AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/shop"},
      {"AWS_LAMBDA_LOG_STREAM_NAME", std::string("2027/01/15/[7]") + kId},
      {"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"},
      {"AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"},
      {"AWS_REGION", "us-east-1"},
      {"AWS_DEFAULT_REGION", "us-east-1"},
      {"AWS_ACCESS_KEY_ID", "samovar"},
      {"LAMBDA_TASK_ROOT", "/var/task"},
      {"LAMBDA_RUNTIME_DIR", "/var/runtime"},
      {"_HANDLER", "app.handler"},
      {"TZ", ":UTC"},
      {"PATH", "/py/3.11.7/bin:/usr/local/bin:/usr/bin:/bin"},
      {"LD_LIBRARY_PATH", "/var/task:/var/task/lib"}};
  for (const auto& [name, value] : wanted) {
    ASSERT_TRUE(env.contains(name)) << name;
    EXPECT_EQ(env.at(name), value) << name;
  }
  EXPECT_FALSE(env.contains("AWS_LAMBDA_LOG_FORMAT"));
  EXPECT_FALSE(env.contains("AWS_LAMBDA_RUNTIME_API"));  // nobody would listen there
}

TEST_F(LaunchPlanTest, LetsTheUserReplaceDefaultsButNotThePlatformsOwn) {
  version_.environment = {
      {"TZ", "Europe/Berlin"},  {"PATH", "/mine"},    {"LD_LIBRARY_PATH", "/l"},
      {"OMP_NUM_THREADS", "9"}, {"_HANDLER", "evil"}, {"AWS_LAMBDA_FUNCTION_NAME", "evil"},
      {"MODE", "a=b"}};
  const auto env = Environment();
  EXPECT_EQ(env.at("TZ"), "Europe/Berlin");
  EXPECT_EQ(env.at("PATH"), "/mine");
  EXPECT_EQ(env.at("LD_LIBRARY_PATH"), "/l");
  EXPECT_EQ(env.at("OMP_NUM_THREADS"), "9");
  EXPECT_EQ(env.at("MODE"), "a=b");
  EXPECT_EQ(env.at("_HANDLER"), "app.handler");
  EXPECT_EQ(env.at("AWS_LAMBDA_FUNCTION_NAME"), "shop");
}

TEST_F(LaunchPlanTest, GivesCpuAndThreadsInProportionToMemory) {
  struct {
    std::uint64_t mib;
    double cpus;
    const char* threads;
  } cases[] = {{128, 0.0724, "1"}, {1769, 1, "1"}, {2700, 1.526, "2"}, {10240, 5.789, "4"}};
  for (const auto& c : cases) {
    version_.memory = Bytes::MiB(c.mib);
    const SandboxSpec spec = Plan();
    EXPECT_NEAR(spec.cpus, c.cpus, 0.001);
    EXPECT_EQ(spec.memory, Bytes::MiB(c.mib));
    EXPECT_EQ(EnvironmentOf(spec).at("OPENBLAS_NUM_THREADS"), c.threads) << c.mib;
  }
}

TEST_F(LaunchPlanTest, RunsOurPythonOverTheChannel) {
  const SandboxSpec spec = Plan();
  EXPECT_THAT(spec.argv,
              ElementsAre("/py/3.11.7/bin/python3.11", "/var/runtime/samovar_runtime.py"));
  EXPECT_TRUE(spec.channel);
  EXPECT_FALSE(spec.runtime_api);
  EXPECT_EQ(spec.cwd, "/var/task");
  EXPECT_THAT(Targets(spec), ElementsAre("/var/task", "/py/3.11.7", "/var/runtime"));
  EXPECT_EQ(spec.mounts.back().source, "/usr/lib/samovar/runtimes/python");
}

TEST_F(LaunchPlanTest, RunsOurNodeOverTheChannel) {
  UseNode();
  const SandboxSpec spec = Plan();
  EXPECT_THAT(spec.argv, ElementsAre("/usr/bin/node", "/var/runtime/index.cjs"));
  EXPECT_TRUE(spec.channel);
  EXPECT_EQ(EnvironmentOf(spec).at("NODE_PATH"), "/var/task/node_modules:/var/runtime/lib");
  EXPECT_EQ(EnvironmentOf(spec).at("PATH"), "/usr/local/bin:/usr/bin:/bin");
}

TEST_F(LaunchPlanTest, LaysLayersOverEachOtherAndShowsThemToTheInterpreter) {
  version_.layer_dirs = {"/l/1", "/l/2", "/l/3"};
  SandboxSpec spec = Plan();
  EXPECT_EQ(spec.mounts[1].source, "/l/1");
  EXPECT_EQ(spec.mounts[1].target, "/opt");
  EXPECT_THAT(spec.mounts[1].overlays, ElementsAre("/l/2", "/l/3"));
  auto env = EnvironmentOf(spec);
  EXPECT_EQ(env.at("SAMOVAR_LAYERS"), "/opt");
  EXPECT_THAT(env.at("PATH"), testing::EndsWith(":/opt/bin"));
  EXPECT_THAT(env.at("LD_LIBRARY_PATH"), testing::EndsWith(":/opt/lib"));
  UseNode();
  EXPECT_EQ(Environment().at("NODE_PATH"),
            "/var/task/node_modules:/opt/nodejs/node20/node_modules:/opt/nodejs/node_modules:"
            "/var/runtime/lib");
}

TEST_F(LaunchPlanTest, StartsInterpretersThroughTheExecWrapper) {
  version_.environment = {{"AWS_LAMBDA_EXEC_WRAPPER", "/opt/wrapper"}};
  EXPECT_THAT(Plan().argv, ElementsAre("/opt/wrapper", "/py/3.11.7/bin/python3.11",
                                       "/var/runtime/samovar_runtime.py"));
  UseProvided();
  Write("code/bootstrap", fs::perms(0755));
  EXPECT_THAT(Plan().argv, ElementsAre("/var/task/bootstrap"));
}

TEST_F(LaunchPlanTest, RunsAwssOwnClientWhereTheFunctionAsksForIt) {
  version_.environment = {{"SAMOVAR_RUNTIME_CLIENT", "aws"}};
  version_.layer_dirs = {"/l/1"};
  SandboxSpec spec = Plan();
  EXPECT_THAT(spec.argv,
              ElementsAre("/py/3.11.7/bin/python3.11", "-m", "awslambdaric", "app.handler"));
  EXPECT_TRUE(spec.runtime_api);
  EXPECT_FALSE(spec.channel);
  auto env = EnvironmentOf(spec);
  EXPECT_EQ(env.at("AWS_LAMBDA_RUNTIME_API"), "127.0.0.1:9001");
  EXPECT_EQ(env.at("PYTHONPATH"), "/opt/python/lib/python3.11/site-packages:/opt/python");
  UseNode();
  EXPECT_THAT(Plan().argv,
              ElementsAre("/usr/bin/node", "/var/task/node_modules/aws-lambda-ric/bin/index.mjs",
                          "app.handler"));
  version_.environment = {{"SAMOVAR_RUNTIME_CLIENT", "mine"}};
  auto refused = Try();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("SAMOVAR_RUNTIME_CLIENT is \"mine\""));
}

TEST_F(LaunchPlanTest, FindsTheBootstrapInThePackageThenInTheLastLayerThatHasIt) {
  UseProvided();
  version_.layer_dirs = {(root_ / "one").string(), (root_ / "two").string()};
  Write("one/bootstrap", fs::perms(0644));
  auto refused = Try();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().name, "Runtime.InvalidEntrypoint");
  EXPECT_EQ(refused.error().message, "fork/exec /opt/bootstrap: permission denied");
  Write("two/bootstrap", fs::perms(0755));
  EXPECT_THAT(Plan().argv, ElementsAre("/opt/bootstrap"));
  Write("code/bootstrap", fs::perms(0755));
  const SandboxSpec spec = Plan();
  EXPECT_THAT(spec.argv, ElementsAre("/var/task/bootstrap"));
  EXPECT_TRUE(spec.runtime_api);
  EXPECT_FALSE(spec.channel);
  const auto env = EnvironmentOf(spec);
  EXPECT_EQ(env.at("AWS_LAMBDA_RUNTIME_API"), "127.0.0.1:9001");
  EXPECT_FALSE(env.contains("AWS_EXECUTION_ENV"));  // as on Lambda
}

TEST_F(LaunchPlanTest, SaysThatThereIsNoBootstrap) {
  UseProvided();
  auto refused = Try();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_EQ(refused.error().name, "Runtime.InvalidEntrypoint");
  EXPECT_THAT(refused.error().message, HasSubstr("/var/task/bootstrap /opt/bootstrap"));
}

TEST_F(LaunchPlanTest, TellsTheRuntimeTheLogsFormat) {
  version_.log_format = "JSON";
  EXPECT_EQ(Environment().at("AWS_LAMBDA_LOG_FORMAT"), "JSON");
  EXPECT_EQ(Environment().at("AWS_LAMBDA_LOG_LEVEL"), "INFO");
  version_.environment = {{"AWS_LAMBDA_LOG_LEVEL", "DEBUG"}};
  EXPECT_EQ(Environment().at("AWS_LAMBDA_LOG_LEVEL"), "DEBUG");
}

TEST_F(LaunchPlanTest, OpensTheNetworkOnlyWhereItIsAskedFor) {
  EXPECT_EQ(Plan().network, Network::kLoopback);
  version_.egress = true;
  EXPECT_EQ(Plan().network, Network::kEgress);
  version_.egress = false;
  options_.egress_by_default = true;
  EXPECT_EQ(Plan().network, Network::kEgress);
}

TEST_F(LaunchPlanTest, PlansATemplateWhereAllOfHostRuntimeAndFunctionAllowIt) {
  struct Case {
    std::string_view name;
    bool clonable;
    std::function<void()> set;
  };
  const Case cases[] = {
      {"all allow it", true, [] {}},
      {"not the host", false, [&] { options_.clones = false; }},
      {"the tag says off", false, [&] { version_.may_clone = false; }},
      {"AWS's own client", false, [&] { version_.environment["SAMOVAR_RUNTIME_CLIENT"] = "aws"; }},
      {"behind a wrapper", false,
       [&] { version_.environment["AWS_LAMBDA_EXEC_WRAPPER"] = "/var/task/wrap"; }},
      {"the function's own variable says nothing", false,
       [&] {
         options_.clones = false;
         version_.environment["SAMOVAR_TEMPLATE"] = "1";
       }},
  };
  const auto version = version_;
  for (const Case& c : cases) {
    version_ = version;
    options_.clones = true;
    c.set();
    const auto spec = Plan();
    EXPECT_EQ(spec.clonable, c.clonable) << c.name;
    EXPECT_EQ(EnvironmentOf(spec).contains("SAMOVAR_TEMPLATE"), c.clonable) << c.name;
  }
}

TEST_F(LaunchPlanTest, PlansATemplateForAModelAndPassesOverAWrapper) {
  options_.clones = true;
  runtime_.kind = Runtime::Kind::kOnnx;
  version_.runtime = "onnx";
  version_.environment["AWS_LAMBDA_EXEC_WRAPPER"] = "/var/task/wrap";
  EXPECT_TRUE(Plan().clonable);
  EXPECT_EQ(Plan().argv.size(), 1u);
  version_.may_clone = false;
  EXPECT_FALSE(Plan().clonable);
}

TEST_F(LaunchPlanTest, LetsNodeBootAheadUnlessWhatItReadsAtItsStartIsTheFunctions) {
  struct Case {
    std::string_view name;
    bool ahead;
    std::function<void()> set;
  };
  const Case cases[] = {
      {"all allow it", true, [] {}},
      {"variables that are read later", true,
       [&] { version_.environment = {{"NODE_ENV", "production"}, {"TZ", "CET"}, {"A", "b"}}; }},
      {"not the host", false, [&] { options_.clones = false; }},
      {"the tag says off", false, [&] { version_.may_clone = false; }},
      {"options of Node.js", false, [&] { version_.environment["NODE_OPTIONS"] = "--no-opt"; }},
      {"the dynamic linker's", false, [&] { version_.environment["LD_PRELOAD"] = "/opt/x.so"; }},
      {"another path of libraries", false,
       [&] { version_.environment["LD_LIBRARY_PATH"] = "/opt/x"; }},
      {"behind a wrapper", false,
       [&] { version_.environment["AWS_LAMBDA_EXEC_WRAPPER"] = "/var/task/wrap"; }},
      {"with the outside", false, [&] { version_.egress = true; }},
  };
  UseNode();
  const auto version = version_;
  for (const Case& c : cases) {
    version_ = version;
    options_.clones = true;
    c.set();
    const auto spec = Plan();
    EXPECT_EQ(spec.boot.has_value(), c.ahead) << c.name;
    if (!spec.boot) continue;
    for (const auto& mount : spec.boot->mounts) EXPECT_NE(mount.target, "/var/task") << c.name;
    EXPECT_FALSE(spec.boot->mounts.empty()) << c.name;
  }
}

}  // namespace
}  // namespace samovar
