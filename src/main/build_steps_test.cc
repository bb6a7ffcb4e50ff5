#include "main/build_steps.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

TEST(ReasonIn, NamesThePackageAndWhyItFailed) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"Resolving", "error: Failed to build `broken`", "  cause: no compiler"},
       "Failed to build `broken`: no compiler"},
      {{"ERROR: No matching distribution found for words==9"},
       "No matching distribution found for words==9"},
      {{"npm error code E404", "npm error 404 Not Found - GET http://r/words", "npm error 404"},
       "404 Not Found - GET http://r/words"},
      {{"npm error code ETARGET", "npm error notarget No matching version found for words@9."},
       "notarget No matching version found for words@9."},
      {{"npm ERR! code 1", "npm ERR! path /x/node_modules/@a/words", "npm ERR! command failed",
        "npm ERR! command sh -c node look.js"},
       "@a/words: its install script failed: command sh -c node look.js"},
      {{"error[E0425]: cannot find value `x` in this scope", " --> src/main.rs:1:13",
        "error: could not compile `words` (bin \"words\") due to 1 previous error"},
       "could not compile `words` (bin \"words\"): src/main.rs:1:13: cannot find value `x` in this "
       "scope"},
      {{"error: failed to run custom build command for `words v1.0`"},
       "failed to run custom build command for `words v1.0`"},
      {{"main.c:1:9: error: use of undeclared x", "make: *** [Makefile:2: all] Error 1"},
       "main.c:1:9: error: use of undeclared x"},
      {{"make: *** No rule to make target 'build-x'.  Stop."},
       "make: *** No rule to make target 'build-x'.  Stop."},
      {{"nothing of use"}, ""},
  };
  for (const auto& [lines, reason] : cases) EXPECT_EQ(ReasonIn(lines), reason);
}

}  // namespace
}  // namespace samovar
