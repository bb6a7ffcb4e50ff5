#include "main/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "main/json_text.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// A case's own lines "# parameter: K=V" and "# stack: NAME" say how it is called.
TemplateInput InputOf(const fs::path& path) {
  TemplateInput input;
  input.text = ReadFile(path);
  input.file = path.filename();
  std::istringstream lines(input.text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# parameter: ")) {
      const std::string pair = line.substr(13);
      const std::size_t equals = pair.find('=');
      input.parameters[pair.substr(0, equals)] = pair.substr(equals + 1);
    } else if (line.starts_with("# stack: ")) {
      input.stack_name = line.substr(9);
      input.prefix_names = true;
    }
  }
  return input;
}

std::vector<fs::path> Cases() {
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(SAMOVAR_SOURCE_DIR "/tests/cases/templates")) {
    if (entry.path().extension() == ".yaml") cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  return cases;
}

// CASE.json holds the plan a template must give, CASE.error the message it must be refused with.
// SAMOVAR_WRITE_CASES=1 writes what is given now, to be read over before it is committed.
TEST(Template, GivesThePlanOrTheErrorOfEachCase) {
  const bool write = std::getenv("SAMOVAR_WRITE_CASES") != nullptr;
  const auto cases = Cases();
  EXPECT_GT(cases.size(), 10U);
  for (const fs::path& path : cases) {
    const auto plan = ReadTemplate(InputOf(path));
    fs::path expected = path;
    expected.replace_extension(plan ? ".json" : ".error");
    const std::string got = (plan ? PrettyJson(PlanJson(*plan)) : plan.error().message) + "\n";
    if (write) std::ofstream(expected) << got;
    ASSERT_TRUE(fs::exists(expected)) << path << " gave: " << got;
    EXPECT_EQ(got, ReadFile(expected)) << path;
  }
}

TEST(Template, TakesParametersFromTheUserAndRefusesUnknownOnes) {
  TemplateInput input;
  input.text = "Resources: {}\n";
  input.parameters["Stag"] = "prod";
  EXPECT_THAT(ReadTemplate(input).error().message,
              testing::HasSubstr("--parameter Stag: template.yaml has no parameter of that name"));
}

TEST(Template, SurvivesDamagedText) {
  for (const fs::path& path : Cases()) {
    TemplateInput input = InputOf(path);
    const std::string whole = input.text;
    for (std::size_t cut = 0; cut < whole.size(); cut += 23) {
      input.text = whole.substr(0, cut);
      (void)ReadTemplate(input);
      input.text = whole;
      input.text[cut] = '{';
      (void)ReadTemplate(input);
    }
  }
}

TEST(Plan, FillsPlaceholdersWhereTheyAreKnown) {
  const std::string url = Placeholder("Hello", "FunctionUrl");
  EXPECT_EQ(url, "{{samovar:Hello.FunctionUrl}}");
  const std::map<std::string, std::string> known{{"Hello.FunctionUrl", "http://x/"}};
  EXPECT_EQ(FillPlaceholders("a " + url + " b", known), "a http://x/ b");
  EXPECT_EQ(FillPlaceholders(Placeholder("Other", "Arn"), known), "{{samovar:Other.Arn}}");
  EXPECT_EQ(FillPlaceholders("{{samovar:open", known), "{{samovar:open");
  const auto filled =
      FillPlaceholdersIn(boost::json::parse(R"({"a":["{{samovar:Hello.FunctionUrl}}",1]})"), known);
  EXPECT_EQ(filled, boost::json::parse(R"({"a":["http://x/",1]})"));
  EXPECT_THAT(PlaceholderIds("x" + url), testing::ElementsAre("Hello"));
}

}  // namespace
}  // namespace samovar
