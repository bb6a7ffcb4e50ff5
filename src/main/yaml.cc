#include "main/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <set>

namespace samovar {

namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxNodes = 1'000'000;

class Converter {
 public:
  explicit Converter(const std::string& name) : name_(name) {}

  Result<YamlNode> Convert(const YAML::Node& node, int depth) {
    const int line = node.Mark().line + 1;
    if (depth > kMaxDepth) return At(line, fmt::format("nested deeper than {} levels", kMaxDepth));
    if (++nodes_ > kMaxNodes) return At(line, "too many values");
    YamlNode out;
    out.line = line;
    if (node.Tag().size() > 1 && node.Tag()[0] == '!') out.tag = node.Tag();
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        return out;
      case YAML::NodeType::Scalar:
        out.kind = YamlNode::Kind::kScalar;
        out.scalar = node.Scalar();
        out.quoted = node.Tag() == "!";
        return out;
      case YAML::NodeType::Sequence:
        out.kind = YamlNode::Kind::kList;
        for (const auto& item : node) {
          TRY(YamlNode converted, Convert(item, depth + 1));
          out.items.push_back(std::move(converted));
        }
        return out;
      case YAML::NodeType::Map:
        out.kind = YamlNode::Kind::kMap;
        return ConvertMap(node, depth, std::move(out));
    }
    return out;
  }

 private:
  Result<YamlNode> ConvertMap(const YAML::Node& node, int depth, YamlNode out) {
    std::set<std::string> seen;
    for (const auto& field : node) {
      const int line = field.first.Mark().line + 1;
      if (!field.first.IsScalar()) return At(line, "expected a name before ':'");
      const std::string& key = field.first.Scalar();
      if (!seen.insert(key).second) return At(line, fmt::format("{}: given twice", key));
      TRY(YamlNode value, Convert(field.second, depth + 1));
      // A nested block stands on the line after its key, and an absent value has no line at all;
      // people look for the key.
      value.line = line;
      out.fields.push_back({key, std::move(value)});
    }
    return out;
  }

  std::unexpected<Error> At(int line, const std::string& what) {
    return Fail(Code::kInvalid, fmt::format("{}:{}: {}", name_, line, what));
  }

  const std::string& name_;
  std::size_t nodes_ = 0;
};

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  for (const auto& [name, value] : fields) {
    if (name == key) return &value;
  }
  return nullptr;
}

Result<YamlNode> ParseYaml(const std::string& text, const std::string& name) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.empty()) {
      YamlNode nothing;
      nothing.line = 1;
      return nothing;
    }
    if (documents.size() > 1) {
      return Fail(Code::kInvalid, fmt::format("{}:{}: expected one document, found {}", name,
                                              documents[1].Mark().line + 1, documents.size()));
    }
    return Converter(name).Convert(documents[0], 0);
  } catch (const YAML::Exception& e) {
    return Fail(Code::kInvalid, fmt::format("{}:{}: {}", name, e.mark.line + 1, e.msg));
  } catch (const std::exception& e) {  // yaml-cpp lets some of the library's own through
    return Fail(Code::kInvalid, fmt::format("{}: {}", name, e.what()));
  }
}

}  // namespace samovar
