#include "main/template_parts.h"

namespace samovar {

namespace {

bool IsIntrinsic(const YamlNode& node) {
  if (!node.tag.empty()) return true;
  if (!node.IsMap() || node.fields.size() != 1) return false;
  const std::string& name = node.fields[0].name;
  return name == "Ref" || name.starts_with("Fn::");
}

}  // namespace

YamlNode MergeGlobals(const YamlNode& global, const YamlNode& own) {
  if (IsIntrinsic(global) || IsIntrinsic(own)) return own;
  if (global.IsList() && own.IsList()) {
    YamlNode out = own;
    out.items = global.items;
    out.items.insert(out.items.end(), own.items.begin(), own.items.end());
    return out;
  }
  if (!global.IsMap() || !own.IsMap()) return own;
  YamlNode out = own;
  for (const YamlField& field : global.fields) {
    bool found = false;
    for (YamlField& mine : out.fields) {
      if (mine.name != field.name) continue;
      mine.value = MergeGlobals(field.value, mine.value);
      found = true;
    }
    if (!found) out.fields.push_back(field);
  }
  return out;
}

}  // namespace samovar
