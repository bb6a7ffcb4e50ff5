#include "wire/simple_json.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "wire/request_json.h"

namespace samovar {
namespace {

TEST(SimpleJson, TakesOrdinaryEvents) {
  for (std::string_view text :
       {R"({"instances": [[1, -2.5, 0, -0.0, 1e3, 2E-07, 1.5e+10]], "outputs": ["y"]})", "{}", "[]",
        R"( {"a": {"b": [], "c": {}}, "d": [true, false, null], "e": "x\n\"\\\/y"})", "1", "\"\"",
        "null", "[[[[1],2],3],{}]"}) {
    EXPECT_TRUE(IsSimpleJson(text)) << text;
  }
}

TEST(SimpleJson, LeavesTheRestToAParser) {
  for (std::string_view text : {"",
                                " ",
                                "{",
                                "[",
                                "[1",
                                "[1,",
                                "[1,]",
                                "{\"a\"}",
                                "{\"a\":}",
                                "{\"a\":1,}",
                                "{a:1}",
                                "[1}",
                                "{\"a\":1]",
                                "01",
                                "-",
                                "1.",
                                ".5",
                                "+1",
                                "1e",
                                "1e400",
                                "1 2",
                                "[]]",
                                "tru",
                                "nul",
                                "True",
                                "NaN",
                                "\"",
                                "\"\\x\"",
                                "\"\\u0041\"",
                                "\"\n\"",
                                "\"\xc3\xa9\"",
                                "{} ",
                                "[1] x",
                                "{1:2}",
                                "[\"a\":1]"}) {
    EXPECT_FALSE(IsSimpleJson(text)) << text;
  }
  EXPECT_TRUE(IsSimpleJson(std::string(64, '[') + std::string(64, ']')));
  EXPECT_FALSE(IsSimpleJson(std::string(65, '[') + "1" + std::string(65, ']')));
}

// Of texts that differ from JSON here and there, it takes none that the parser does not.
TEST(SimpleJson, TakesNothingThatAParserDoesNot) {
  const std::string_view seeds[] = {
      R"({"a": [1, -2.5e3, {"b": "c\n"}], "d": [[], {}, null, true], "e": 0.125})",
      R"([-0.12345678901234567, 98765432109876543210, 1234567.5e-12, 123456789012345678])",
      R"([[0.1, 2, 3], ["x", "y"], {"k": {"l": [false]}}])"};
  constexpr std::string_view kBytes = "{}[],:\"\\ 0123456789-+.eEtrufalsn\n\x01\xc3";
  std::mt19937 random(1);
  int taken = 0;
  for (int i = 0; i < 100000; ++i) {
    std::string text(seeds[random() % 3]);
    for (std::size_t changes = random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, 1 + random() % 4);
      } else if (random() % 2 == 0) {
        text[at] = kBytes[random() % kBytes.size()];
      } else {
        text.insert(at, 1, kBytes[random() % kBytes.size()]);
      }
      if (text.empty()) text = "1";
    }
    if (!IsSimpleJson(text)) continue;
    ++taken;
    ASSERT_TRUE(ParseRequestJson(text)) << text;
  }
  EXPECT_GT(taken, 30000);
}

}  // namespace
}  // namespace samovar
