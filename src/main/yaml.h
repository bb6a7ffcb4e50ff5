#pragma once
// YamlNode: a parsed YAML (or JSON) document with the line of every node.
//
// Why      Configuration and templates are written by hand, so every complaint names a line; and
//          CloudFormation's short forms (!Ref, !Sub) are tags, which must survive the parsing.
// Errors   kInvalid "NAME:LINE: what". Duplicate keys, more than one document, and documents past
//          the bounds (depth 64, a million nodes counting aliases each time) are refused.
// Threads  Values.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

struct YamlField;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;         // from 1
  std::string tag;      // "!Ref"; "" for none
  bool quoted = false;  // "5" and 5 differ
  std::string scalar;
  std::vector<YamlNode> items;    // of a list
  std::vector<YamlField> fields;  // of a map, in order

  bool IsNull() const { return kind == Kind::kNull; }
  bool IsScalar() const { return kind == Kind::kScalar; }
  bool IsList() const { return kind == Kind::kList; }
  bool IsMap() const { return kind == Kind::kMap; }
  const YamlNode* Find(std::string_view key) const;  // null where absent
};

struct YamlField {
  std::string name;
  YamlNode value;
};

// `name` is for messages only.
Result<YamlNode> ParseYaml(const std::string& text, const std::string& name);

}  // namespace samovar
