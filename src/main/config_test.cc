#include "main/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <fstream>
#include <sstream>

namespace samovar {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

ConfigSources FileOf(std::string text) {
  return {.file = "c.yaml",
          .file_text = std::move(text),
          .environment = {},
          .flags = {},
          .root = true,
          .home = "/home/ada"};
}

std::string Show(const Config& config, std::string_view name) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.name == name) return key.get(config).Show();
  }
  return "no such key";
}

ConfigSources TomlOf(std::string text) {
  ConfigSources sources = FileOf(std::move(text));
  sources.file = "c.toml";
  return sources;
}

TEST(Config, ReadsTomlByItsEnding) {
  const auto loaded =
      LoadConfig(TomlOf("listen = '127.0.0.1:7'\nclones.enabled = false\n"
                        "[limits]\nmemory_budget = \"25%\"\naccount_concurrency = 12\n"
                        "[runtimes]\npython_paths = ['/a', '/b']\n"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.listen, "127.0.0.1:7");
  EXPECT_FALSE(loaded->config.clones.enabled);
  EXPECT_EQ(Show(loaded->config, "limits.memory_budget"), "25%");
  EXPECT_EQ(loaded->config.limits.account_concurrency, 12);
  EXPECT_EQ(Show(loaded->config, "runtimes.python_paths"), "/a, /b");
  EXPECT_EQ(loaded->origin.at("limits.account_concurrency"), "c.toml:5");
}

TEST(Config, NamesTheLineOfWhatTomlHasWrong) {
  const struct {
    std::string text, says;
  } cases[] = {
      {"listen = 'a:1'\n[limits]\nqueue_wait = 'soon'\n", "c.toml:3: limits.queue_wait: expected"},
      {"\n[limit]\nqueue_wait = '1s'\n", "c.toml:2: limit: no such key"},
      {"listen = 'a:1'\nlisten = 'b:1'\n", "c.toml:2: "},
      {"listen: a:1\n", "c.toml:1: "},
      {"region = 1979-05-27\nlimits = 3\n", "c.toml:2: limits: expected keys below it"}};
  for (const auto& [text, says] : cases) {
    const auto loaded = LoadConfig(TomlOf(text));
    ASSERT_FALSE(loaded) << text;
    EXPECT_THAT(loaded.error().message, HasSubstr(says));
    EXPECT_EQ(loaded.error().code, Code::kInvalid);
  }
}

TEST(Config, GivesEveryKeyItsDocumentedDefault) {
  const auto loaded = LoadConfig(FileOf(""));
  ASSERT_TRUE(loaded) << loaded.error().message;
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.name == "data_dir") continue;
    EXPECT_EQ(Show(loaded->config, key.name), key.fallback) << key.name;
    EXPECT_EQ(loaded->origin.at(std::string(key.name)), "default");
  }
  EXPECT_EQ(loaded->config.limits.max_package, Bytes::GiB(10));
  EXPECT_EQ(loaded->config.drain_timeout, milliseconds(30'000));
}

TEST(Config, KeepsDataInTheSystemForRootAndInTheHomeForOthers) {
  ConfigSources sources = FileOf("");
  EXPECT_EQ(LoadConfig(sources)->config.data_dir, "/var/lib/samovar");
  sources.root = false;
  EXPECT_EQ(LoadConfig(sources)->config.data_dir, "/home/ada/.local/share/samovar");
}

TEST(Config, ReadsEveryKindFromAFile) {
  const auto loaded =
      LoadConfig(FileOf("listen: '[::1]:80'\n"
                        "account_id: '123456789012'\n"
                        "limits:\n"
                        "  memory_budget: 50%\n"
                        "  max_package: 1.5GB\n"
                        "  queue_wait: 1m30s\n"
                        "  queue_total: 7\n"
                        "runtimes:\n"
                        "  python_paths: [/opt/python/bin, /usr/local/bin]\n"
                        "  node_paths: /opt/node\n"
                        "keep_alive: {policy: fixed, fixed: 5s}\n"
                        "logs:\n"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const Config& c = loaded->config;
  EXPECT_EQ(c.listen, "[::1]:80");
  EXPECT_EQ(c.limits.memory_budget.Of(Bytes::GiB(2)), Bytes{(Bytes::GiB(2).count / 100) * 50});
  EXPECT_EQ(c.limits.max_package, Bytes::MiB(1536));
  EXPECT_EQ(c.limits.queue_wait, milliseconds(90'000));
  EXPECT_EQ(c.limits.queue_total, 7);
  EXPECT_THAT(c.runtimes.python_paths, testing::ElementsAre("/opt/python/bin", "/usr/local/bin"));
  EXPECT_THAT(c.runtimes.node_paths, testing::ElementsAre("/opt/node"));
  EXPECT_EQ(c.keep_alive.policy, Config::KeepAlivePolicy::kFixed);
  EXPECT_EQ(loaded->origin.at("limits.queue_wait"), "c.yaml:6");
}

TEST(Config, NamesLineKeyAndExpectationOfWhatIsWrong) {
  struct Case {
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"listn: 1\n", "c.yaml:1: listn: no such key; did you mean listen?"},
      {"queue_wait: 1s\n", "c.yaml:1: queue_wait: no such key; did you mean limits.queue_wait?"},
      {"limits:\n  queue_wait: soon\n",
       "c.yaml:2: limits.queue_wait: expected a duration from 1ms to 1h, e.g. 30s or 10m, got "
       "\"soon\""},
      {"limits: 5\n", "c.yaml:1: limits: expected keys below it, got \"5\""},
      {"listen: [a]\n", "c.yaml:1: listen: expected HOST:PORT"},
      {"listen: {a: b}\n", "c.yaml:1: listen: expected a text, got a map"},
      {"listen: 127.0.0.1\n", "expected HOST:PORT, e.g. 127.0.0.1:4566 or [::1]:4566, got"},
      {"isolation: none\n", "c.yaml:1: isolation: expected one of full, process, got \"none\""},
      {"limits: {account_concurrency: 0}\n", "expected a whole number from 1 to 1000000"},
      {"limits: {account_concurrency: 1e3}\n", "expected a whole number from 1 to 1000000"},
      {"limits: {memory_budget: 120%}\n", "from 1% to 100%"},
      {"user: root\n", "a user name or uid other than root"},
      {"runtimes: {python_paths: [bin]}\n", "a list of absolute paths, got [bin]"},
      {"region: us-east-1\nregion: b\n", "c.yaml:2: region: given twice"},
      {"a: b: c\n", "c.yaml:1: "},
      {"- a\n", "c.yaml:1: expected \"key: value\" lines"},
      {"data_dir: !Ref x\n", "expected no tag, got !Ref"},
  };
  for (const Case& c : cases) {
    const auto loaded = LoadConfig(FileOf(c.text));
    ASSERT_FALSE(loaded) << c.text;
    EXPECT_EQ(loaded.error().code, Code::kInvalid);
    EXPECT_THAT(loaded.error().message, HasSubstr(c.message)) << c.text;
  }
}

TEST(Config, LetsTheCommandLineWinOverTheEnvironmentOverTheFile) {
  ConfigSources sources = FileOf("region: file\naccount_id: '111111111111'\nlisten: a:1\n");
  sources.environment = {{"SAMOVAR_REGION", "env"}, {"SAMOVAR_LISTEN", "b:2"}};
  sources.flags = {{"listen", "c:3"}};
  const auto loaded = LoadConfig(sources);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.account_id, "111111111111");
  EXPECT_EQ(loaded->config.region, "env");
  EXPECT_EQ(loaded->config.listen, "c:3");
  EXPECT_EQ(loaded->origin.at("region"), "SAMOVAR_REGION");
  EXPECT_EQ(loaded->origin.at("listen"), "command line");
}

TEST(Config, NamesTheVariableOfABadEnvironmentValue) {
  ConfigSources sources = FileOf("");
  sources.environment = {{"SAMOVAR_LIMITS_QUEUE_WAIT", "x"}};
  EXPECT_THAT(LoadConfig(sources).error().message,
              HasSubstr("SAMOVAR_LIMITS_QUEUE_WAIT: limits.queue_wait: expected a duration"));
}

TEST(Config, ReadsSizesAndDurations) {
  EXPECT_EQ(ParseSize("512MB"), Bytes::MiB(512));
  EXPECT_EQ(ParseSize("1024"), Bytes{1024});
  EXPECT_EQ(ParseSize("1.5 GiB"), Bytes::MiB(1536));
  for (const char* bad : {"", "MB", "-1MB", "1XB", "1 2", "99999999999TB", "nan", "1e3"}) {
    EXPECT_FALSE(ParseSize(bad)) << bad;
  }
  EXPECT_EQ(ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(ParseDuration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(ParseDuration("0"), milliseconds(0));
  EXPECT_EQ(ParseDuration("1.5s"), milliseconds(1500));
  for (const char* bad : {"", "5", "s", "5x", "1m1h", "1s1s", "-5s", "99999999d", "5 s"}) {
    EXPECT_FALSE(ParseDuration(bad)) << bad;
  }
  EXPECT_EQ(ShowSize(Bytes::GiB(10)), "10GB");
  EXPECT_EQ(ShowSize(Bytes{1000}), "1000");
  EXPECT_EQ(ShowDuration(milliseconds(5'400'001)), "1h30m1ms");
}

TEST(Config, TellsLoopbackFromOpenAddresses) {
  EXPECT_TRUE(ParseListen("127.0.0.1:1")->Loopback());
  EXPECT_TRUE(ParseListen("[::1]:1")->Loopback());
  EXPECT_FALSE(ParseListen("0.0.0.0:1")->Loopback());
  EXPECT_FALSE(ParseListen("[::]:1")->Loopback());
  for (const char* bad : {"", ":1", "a", "a:", "a:x", "a:70000", "::1:80"}) {
    EXPECT_FALSE(ParseListen(bad)) << bad;
  }
}

TEST(Config, PrintsItselfAsNestedJson) {
  const auto loaded = LoadConfig(FileOf("limits: {queue_total: 3}\n"));
  const auto json = ConfigJson(loaded->config);
  EXPECT_EQ(json.at("limits").at("queue_total").as_string(), "3");
  EXPECT_EQ(json.at("region").as_string(), "us-east-1");
  EXPECT_TRUE(json.at("runtimes").at("python_paths").is_array());
}

TEST(Config, IsDocumentedAsTheTableSays) {
  std::ifstream in(SAMOVAR_SOURCE_DIR "/docs/configuration.md");
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), ConfigMarkdown())
      << "run: samovar config --markdown > docs/configuration.md";
}

}  // namespace
}  // namespace samovar
