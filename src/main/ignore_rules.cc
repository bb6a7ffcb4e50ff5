#include "main/ignore_rules.h"

namespace samovar {

namespace {

constexpr std::string_view kAlways =
    ".git/\n.hg/\n.svn/\n.venv/\n__pycache__/\n*.pyc\n.samovar-build/\n.aws-sam/\n.samignore\n"
    ".DS_Store\n.pytest_cache/\n.mypy_cache/\n.ruff_cache/\n.tox/\n";

// Matches "[abc]" or "[!a-z]" at the front of `pattern`; takes it off. False where there is no end.
bool TakeClass(std::string_view& pattern, char c, bool& fits) {
  const std::size_t close = pattern.find(']', 2);
  if (close == std::string_view::npos) return false;
  std::string_view set = pattern.substr(1, close - 1);
  const bool negated = set[0] == '!' || set[0] == '^';
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found = found || (c >= set[i] && c <= set[i + 2]);
      i += 2;
    } else {
      found = found || c == set[i];
    }
  }
  fits = found != negated;
  pattern.remove_prefix(close + 1);
  return true;
}

}  // namespace

// Two marks to come back to, one for the last "*" and one for the last "**": linear in practice and
// never exponential.
bool GlobMatch(std::string_view pattern, std::string_view path) {
  struct Mark {
    std::string_view pattern, path;
    bool set = false;
  };
  Mark star, stars;
  for (;;) {
    bool stuck = false;
    if (pattern.starts_with("**")) {
      pattern.remove_prefix(2);
      if (pattern.starts_with('/')) pattern.remove_prefix(1);
      if (pattern.empty()) return true;
      stars = {pattern, path, true};
      star.set = false;
      continue;
    }
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      star = {pattern, path, true};
      continue;
    }
    if (pattern.empty() && path.empty()) return true;
    if (pattern.empty() || path.empty()) {
      stuck = true;
    } else if (bool fits = false;
               pattern[0] == '[' && path[0] != '/' && TakeClass(pattern, path[0], fits)) {
      stuck = !fits;
      if (fits) path.remove_prefix(1);
    } else if (pattern[0] == path[0] || (pattern[0] == '?' && path[0] != '/')) {
      pattern.remove_prefix(1);
      path.remove_prefix(1);
    } else {
      stuck = true;
    }
    if (!stuck) continue;
    if (star.set && !star.path.empty() && star.path[0] != '/') {
      star.path.remove_prefix(1);
    } else if (stars.set && !stars.path.empty()) {
      const std::size_t slash = stars.path.find('/');
      if (slash == std::string_view::npos) return false;
      stars.path.remove_prefix(slash + 1);
      pattern = stars.pattern;
      path = stars.path;
      star.set = false;
      continue;
    } else {
      return false;
    }
    pattern = star.pattern;
    path = star.path;
  }
}

IgnoreRules::IgnoreRules(std::string_view samignore_text) {
  for (std::string_view text : {kAlways, samignore_text}) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      Add(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  }
}

void IgnoreRules::Add(std::string_view line) {
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
  if (line.empty() || line[0] == '#') return;
  Rule rule;
  if (line[0] == '!') {
    rule.negated = true;
    line.remove_prefix(1);
  }
  if (line.starts_with('\\')) line.remove_prefix(1);  // "\#name" and "\!name"
  if (line.ends_with('/')) {
    rule.folder_only = true;
    line.remove_suffix(1);
  }
  rule.anchored = line.find('/') != std::string_view::npos;
  if (line.starts_with('/')) line.remove_prefix(1);
  rule.pattern = line;
  if (!rule.pattern.empty()) rules_.push_back(std::move(rule));
}

bool IgnoreRules::Ignored(std::string_view path, bool folder) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  bool ignored = false;
  for (const Rule& rule : rules_) {
    if (rule.folder_only && !folder) continue;
    if (GlobMatch(rule.pattern, rule.anchored ? path : name)) ignored = !rule.negated;
  }
  return ignored;
}

}  // namespace samovar
