#pragma once
// IgnoreRules: which files of a code folder stay out of the package.
//
// How      .gitignore's rules, from .samignore in the folder: later lines win, "!" takes back, a
//          trailing "/" means folders only, a "/" elsewhere ties the pattern to the root, "*" and
//          "?" stay within a name, "**" crosses folders. Before them stand a few that always hold
//          unless taken back: version control, virtual environments, caches, our build folder.
// Threads  Values; pure.

#include <string>
#include <string_view>
#include <vector>

namespace samovar {

class IgnoreRules {
 public:
  explicit IgnoreRules(std::string_view samignore_text);
  // `path` is relative to the root, with "/" between names. A folder that is ignored is not
  // entered.
  bool Ignored(std::string_view path, bool folder) const;

 private:
  struct Rule {
    std::string pattern;
    bool negated = false;
    bool folder_only = false;
    bool anchored = false;
  };
  void Add(std::string_view line);

  std::vector<Rule> rules_;
};

// Whether a path fits a pattern of *, ?, [...] and **.
bool GlobMatch(std::string_view pattern, std::string_view path);

}  // namespace samovar
