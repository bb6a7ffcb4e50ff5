// What a deployment decides before it talks to a server: differences, guesses, dependencies.
#include "main/deploy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "main/build_dependencies.h"
#include "main/child_process.h"
#include "main/commands.h"
#include "main/completion.h"
#include "main/guess.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

boost::json::object Object(const char* text) { return boost::json::parse(text).as_object(); }

TEST(ConfigurationChanges, FindsOnlyWhatDiffers) {
  const char* current =
      R"({"Runtime":"python3.11","Handler":"a.b","Timeout":3,"MemorySize":256,"Description":"",
          "Role":"arn:x","Environment":{"Variables":{"A":"1"}},
          "Layers":[{"Arn":"arn:l:1","CodeSize":9}],"EphemeralStorage":{"Size":512},
          "SnapStart":{"ApplyOn":"None","OptimizationStatus":"Off"},
          "TracingConfig":{"Mode":"PassThrough"},
          "LoggingConfig":{"LogFormat":"Text","LogGroup":"/aws/lambda/f"}})";
  struct Case {
    const char* wanted;
    bool partial;
    const char* changes;
  };
  const Case cases[] = {
      {R"({"Runtime":"python3.11","Handler":"a.b","MemorySize":256,"Role":"other",
           "Environment":{"Variables":{"A":"1"}},"Layers":["arn:l:1"],
           "LoggingConfig":{"LogFormat":"Text"},"Architectures":["x86_64"]})",
       false, "{}"},
      {R"({"Runtime":"python3.11"})", true, "{}"},
      {R"({"Runtime":"python3.12"})", true, R"({"Runtime":"python3.12"})"},
      {R"({"Runtime":"python3.11","Handler":"a.b"})", false,
       R"({"MemorySize":128,"Layers":[],"Environment":{"Variables":{}}})"},
      {R"({"SnapStart":{"ApplyOn":"PublishedVersions"},"DeadLetterConfig":{"TargetArn":"q"},
           "LoggingConfig":{"LogFormat":"JSON"}})",
       true,
       R"({"SnapStart":{"ApplyOn":"PublishedVersions"},"DeadLetterConfig":{"TargetArn":"q"},
           "LoggingConfig":{"LogFormat":"JSON"}})"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ConfigurationChanges(Object(c.wanted), Object(current), c.partial), Object(c.changes))
        << c.wanted;
  }
}

TEST(ConfigurationChanges, CanBeTakenBack) {
  const auto current = Object(R"({"MemorySize":256,"Layers":[{"Arn":"arn:l:1"}]})");
  const auto wanted = Object(R"({"MemorySize":512,"Layers":[],"Timeout":9})");
  const auto changes = ConfigurationChanges(wanted, current, true);
  EXPECT_EQ(ConfigurationAsItIs(changes, current),
            Object(R"({"MemorySize":256,"Layers":["arn:l:1"],"Timeout":3})"));
}

class GuessTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "samovar-guess-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    input_.folder = root_;
    input_.name = "f";
    input_.runtimes = {{"python3.9", {"/usr/bin/python3.9", "3.9.2"}},
                       {"python3.12", {"/usr/bin/python3.12", "3.12.1"}},
                       {"nodejs20.x", {"/usr/bin/node", "20.1.0"}}};
  }
  void TearDown() override { fs::remove_all(root_); }
  void Put(const std::string& name, const std::string& text) {
    std::ofstream(root_ / name) << text;
  }

  fs::path root_;
  GuessInput input_;
};

TEST_F(GuessTest, TakesTheNewestRuntimeAndTheHandlerThatIsThere) {
  struct Case {
    const char* file;
    const char* text;
    const char* runtime;
    const char* handler;
  };
  const Case cases[] = {
      {"app.py", "def handler(event, context):\n", "python3.12", "app.handler"},
      {"lambda_function.py", "def lambda_handler(e, c):\n", "python3.12",
       "lambda_function.lambda_handler"},
      {"index.js", "exports.handler = async () => 1", "nodejs20.x", "index.handler"},
      {"index.mjs", "export const handler = async () => 1", "nodejs20.x", "index.handler"},
      {"bootstrap", "#!/bin/sh\n", "provided.al2023", "bootstrap"},
  };
  for (const Case& c : cases) {
    Put(c.file, c.text);
    const auto guess = GuessFunction(input_);
    fs::remove(root_ / c.file);
    ASSERT_TRUE(guess) << c.file << ": " << guess.error().message;
    EXPECT_EQ(JsonText(guess->function.configuration, "Runtime"), c.runtime);
    EXPECT_EQ(JsonText(guess->function.configuration, "Handler"), c.handler);
    EXPECT_FALSE(guess->guessed.empty());
  }
}

TEST_F(GuessTest, SaysWhatIsMissing) {
  EXPECT_THAT(GuessFunction(input_).error().message, HasSubstr("say --runtime and --handler"));
  Put("app.py", "x = 1\n");
  EXPECT_THAT(GuessFunction(input_).error().message, HasSubstr("--handler app.FUNCTION"));
  Put("app.py", "def main(e, c): pass\n");
  input_.runtimes.clear();
  EXPECT_THAT(GuessFunction(input_).error().message, HasSubstr("samovar runtimes"));
}

TEST(Dependencies, AreSeenInPackageJson) {
  EXPECT_TRUE(HasNodeDependencies(R"({"dependencies":{"left-pad":"1"}})"));
  EXPECT_FALSE(HasNodeDependencies(R"({"dependencies":{}})"));
  EXPECT_FALSE(HasNodeDependencies(R"({"devDependencies":{"x":"1"}})"));
  EXPECT_FALSE(HasNodeDependencies("not json"));
}

TEST(ChildProcess, HandsLinesOnAndAnswersTheStatus) {
  std::vector<std::string> lines;
  const auto take = [&](std::string_view line) { lines.emplace_back(line); };
  const auto status = RunChild({.argv = {"sh", "-c", "echo one; echo two >&2; printf $X; exit 3"},
                                .folder = "/tmp",
                                .environment = {{"X", "three"}}},
                               take);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, 3);
  EXPECT_THAT(lines, testing::ElementsAre("one", "two", "three"));
  EXPECT_THAT(RunChild({.argv = {"no-such-program"}, .folder = "", .environment = {}}, take)
                  .error()
                  .message,
              HasSubstr("cannot run no-such-program"));
}

TEST(Completion, NamesEveryCommandAndIsReadByBash) {
  Session session;
  CLI::App app("Samovar", "samovar");
  Commands commands{.app = app, .session = session, .run = {}};
  AddAllCommands(commands, nullptr);
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = CompletionScript(app, shell);
    ASSERT_TRUE(script);
    for (const char* word :
         {"deploy", "invoke", "dry-run", "follow", "create", "export", "features"}) {
      EXPECT_THAT(*script, HasSubstr(word)) << shell;
    }
  }
  EXPECT_FALSE(CompletionScript(app, "tcsh"));
  const auto status = RunChild({.argv = {"bash", "-n", "-c", *CompletionScript(app, "bash")},
                                .folder = "",
                                .environment = {}},
                               [](std::string_view line) { ADD_FAILURE() << line; });
  EXPECT_EQ(status.value_or(-1), 0);
}

TEST(Commands, RefuseWhatTheyDoNotKnowWithExitCodeTwo) {
  for (const char* word : {"--wrong", "nonsense"}) {
    std::string program = "samovar", argument = word;
    char* argv[] = {program.data(), argument.data(), nullptr};
    EXPECT_EQ(RunCli(2, argv, nullptr), kExitUsage) << word;
  }
}

TEST(ExitCodes, TellScriptsWhatToDo) {
  EXPECT_EQ(ExitCodeOf(Code::kInvalid), 2);
  EXPECT_EQ(ExitCodeOf(Code::kConflict), 2);
  EXPECT_EQ(ExitCodeOf(Code::kUnavailable), 3);
  EXPECT_EQ(ExitCodeOf(Code::kNotFound), 4);
  EXPECT_EQ(ExitCodeOf(Code::kDenied), 5);
  EXPECT_EQ(ExitCodeOf(Code::kThrottled), 6);
  EXPECT_EQ(ExitCodeOf(Code::kInternal), 6);
}

}  // namespace
}  // namespace samovar
