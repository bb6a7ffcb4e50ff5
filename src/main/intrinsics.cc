#include "main/intrinsics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/encoding.h"

namespace samovar {

namespace {

constexpr std::string_view kNoValue = "!NoValue";

YamlNode Scalar(std::string text, int line) {
  YamlNode out;
  out.kind = YamlNode::Kind::kScalar;
  out.line = line;
  out.scalar = std::move(text);
  return out;
}

YamlNode List(const std::vector<std::string>& texts, int line) {
  YamlNode out;
  out.kind = YamlNode::Kind::kList;
  out.line = line;
  for (const std::string& text : texts) out.items.push_back(Scalar(text, line));
  return out;
}

YamlNode NoValue(int line) {
  YamlNode out;
  out.line = line;
  out.tag = kNoValue;
  return out;
}

bool KnownButNotServed(const std::string& name) {
  return name == "Fn::ImportValue" || name == "Fn::Cidr" || name == "Fn::Transform" ||
         name == "Fn::ToJsonString" || name.starts_with("Fn::ForEach");
}

bool HasPlaceholder(const std::string& text) { return !PlaceholderIds(text).empty(); }

std::string LowerService(const std::string& type) {  // "AWS::SQS::Queue" -> "sqs"
  std::string out;
  const std::size_t from = type.find("::");
  if (from == std::string::npos) return "unknown";
  for (std::size_t i = from + 2; i < type.size() && type[i] != ':'; ++i) {
    const char c = type[i];
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return out;
}

}  // namespace

Intrinsics::Intrinsics(std::string file, const Symbols& symbols, const YamlNode* mappings,
                       const YamlNode* conditions, std::vector<Warning>& warnings)
    : file_(std::move(file)),
      symbols_(symbols),
      mappings_(mappings),
      conditions_(conditions),
      warnings_(warnings) {}

std::unexpected<Error> Intrinsics::At(int line, const std::string& what) const {
  return Fail(Code::kInvalid, fmt::format("{}:{}: {}", file_, line, what));
}

void Intrinsics::Warn(int line, std::string what) {
  warnings_.push_back({.line = line, .message = std::move(what)});
}

std::optional<Intrinsics::Call> Intrinsics::AsCall(const YamlNode& node) const {
  if (!node.tag.empty()) {
    const std::string name = node.tag.substr(1);
    Call call{.name = name == "Ref" || name == "Condition" ? name : "Fn::" + name,
              .argument = node};
    call.argument.tag.clear();
    return call;
  }
  if (!node.IsMap() || node.fields.size() != 1) return std::nullopt;
  const std::string& name = node.fields[0].name;
  if (name != "Ref" && !name.starts_with("Fn::")) return std::nullopt;
  return Call{.name = name, .argument = node.fields[0].value};
}

Result<YamlNode> Intrinsics::Resolve(const YamlNode& node) {
  if (const auto call = AsCall(node)) return Evaluate(*call, node.line);
  if (node.IsList()) {
    YamlNode out = node;
    out.items.clear();
    for (const YamlNode& item : node.items) {
      TRY(YamlNode resolved, Resolve(item));
      if (resolved.tag != kNoValue) out.items.push_back(std::move(resolved));
    }
    return out;
  }
  if (node.IsMap()) {
    YamlNode out = node;
    out.fields.clear();
    for (const YamlField& field : node.fields) {
      TRY(YamlNode resolved, Resolve(field.value));
      if (resolved.tag == kNoValue) continue;
      resolved.line = field.value.line;
      out.fields.push_back({field.name, std::move(resolved)});
    }
    return out;
  }
  return node;
}

Result<YamlNode> Intrinsics::Evaluate(const Call& call, int line) {
  if (call.name == "Ref") {
    if (!call.argument.IsScalar()) return At(line, "Ref: expected a name");
    return Ref(call.argument.scalar, line);
  }
  if (call.name == "Fn::GetAtt") return GetAtt(call.argument, line);
  if (call.name == "Fn::Sub") return Sub(call.argument, line);
  if (call.name == "Fn::Join") return Join(call.argument, line);
  if (call.name == "Fn::Select") return Select(call.argument, line);
  if (call.name == "Fn::Split") return Split(call.argument, line);
  if (call.name == "Fn::If") return If(call.argument, line);
  if (call.name == "Fn::FindInMap") return FindInMap(call.argument, line);
  if (call.name == "Fn::Base64") {
    TRY(std::string text, Text(call.argument, "Fn::Base64"));
    return Scalar(Base64Encode(text), line);
  }
  if (call.name == "Fn::GetAZs") return List({symbols_.region + "a"}, line);
  if (call.name == "Fn::Length") {
    TRY(YamlNode list, Resolve(call.argument));
    if (!list.IsList()) return At(line, "Fn::Length: expected a list");
    return Scalar(fmt::to_string(list.items.size()), line);
  }
  if (KnownButNotServed(call.name)) {
    Warn(line, fmt::format("{} is not supported; what it stands for is left out", call.name));
    return NoValue(line);
  }
  return At(line, fmt::format("{}: no such intrinsic function", call.name));
}

Result<YamlNode> Intrinsics::Ref(const std::string& name, int line) {
  if (name == "AWS::NoValue") return NoValue(line);
  if (const auto list = symbols_.lists.find(name); list != symbols_.lists.end()) {
    return List(list->second, line);
  }
  if (const auto found = symbols_.refs.find(name); found != symbols_.refs.end()) {
    return Scalar(found->second, line);
  }
  return At(line, fmt::format("{}: no parameter or resource of that name", name));
}

Result<std::string> Intrinsics::Attribute(const std::string& id, const std::string& attribute,
                                          int line) {
  const auto found = symbols_.attributes.find(id + "." + attribute);
  if (found != symbols_.attributes.end()) return found->second;
  const auto foreign = symbols_.foreign.find(id);
  if (foreign != symbols_.foreign.end()) {
    const auto ref = symbols_.refs.find(id);
    const std::string name = ref == symbols_.refs.end() ? id : ref->second;
    if (attribute != "Arn" && !attribute.ends_with("Arn")) return name + "." + attribute;
    return fmt::format("arn:aws:{}:{}:{}:{}", LowerService(foreign->second), symbols_.region,
                       symbols_.account_id, name);
  }
  if (!symbols_.refs.contains(id)) return At(line, fmt::format("{}: no such resource", id));
  return At(line, fmt::format("{} has no attribute {} here", id, attribute));
}

Result<YamlNode> Intrinsics::GetAtt(const YamlNode& argument, int line) {
  std::string id, attribute;
  if (argument.IsScalar()) {
    const std::size_t dot = argument.scalar.find('.');
    if (dot == std::string::npos) return At(line, "GetAtt: expected RESOURCE.ATTRIBUTE");
    id = argument.scalar.substr(0, dot);
    attribute = argument.scalar.substr(dot + 1);
  } else {
    TRY(YamlNode list, ListOf(argument, 2, "GetAtt: expected RESOURCE.ATTRIBUTE"));
    TRY(id, Text(list.items[0], "GetAtt"));
    TRY(attribute, Text(list.items[1], "GetAtt"));
  }
  TRY(std::string value, Attribute(id, attribute, line));
  return Scalar(std::move(value), line);
}

Result<YamlNode> Intrinsics::Sub(const YamlNode& argument, int line) {
  std::string text;
  std::map<std::string, std::string> local;
  if (argument.IsScalar()) {
    text = argument.scalar;
  } else {
    const std::string expected = "Fn::Sub: expected a text, or a list of a text and a map";
    if (!argument.IsList() || argument.items.size() != 2 || !argument.items[0].IsScalar() ||
        !argument.items[1].IsMap()) {
      return At(line, expected);
    }
    text = argument.items[0].scalar;
    for (const YamlField& field : argument.items[1].fields) {
      TRY(local[field.name], Text(field.value, "Fn::Sub: " + field.name));
    }
  }
  std::string out;
  std::size_t at = 0;
  for (;;) {
    const std::size_t open = text.find("${", at);
    if (open == std::string::npos) return Scalar(out + text.substr(at), line);
    const std::size_t close = text.find('}', open);
    if (close == std::string::npos) return At(line, "Fn::Sub: \"${\" without \"}\"");
    out += text.substr(at, open - at);
    at = close + 1;
    std::string name = text.substr(open + 2, close - open - 2);
    if (name.starts_with('!')) {  // ${!Literal} stands for ${Literal}
      out += "${" + name.substr(1) + "}";
      continue;
    }
    if (const auto found = local.find(name); found != local.end()) {
      out += found->second;
      continue;
    }
    const std::size_t dot = name.find('.');
    if (dot != std::string::npos && !symbols_.refs.contains(name)) {
      TRY(std::string value, Attribute(name.substr(0, dot), name.substr(dot + 1), line));
      out += value;
      continue;
    }
    TRY(YamlNode value, Ref(name, line));
    if (!value.IsScalar()) return At(line, fmt::format("Fn::Sub: {} is not a text", name));
    out += value.scalar;
  }
}

Result<YamlNode> Intrinsics::Join(const YamlNode& argument, int line) {
  const std::string expected = "Fn::Join: expected a delimiter and a list";
  TRY(YamlNode pair, ListOf(argument, 2, expected));
  TRY(std::string delimiter, Text(pair.items[0], expected));
  TRY(YamlNode list, Resolve(pair.items[1]));
  if (!list.IsList()) return At(line, expected);
  std::string out;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (!list.items[i].IsScalar()) return At(line, expected + " of texts");
    out += (i == 0 ? "" : delimiter) + list.items[i].scalar;
  }
  return Scalar(std::move(out), line);
}

Result<YamlNode> Intrinsics::Select(const YamlNode& argument, int line) {
  const std::string expected = "Fn::Select: expected an index and a list";
  TRY(YamlNode pair, ListOf(argument, 2, expected));
  TRY(std::string index_text, Text(pair.items[0], expected));
  TRY(YamlNode list, Resolve(pair.items[1]));
  if (!list.IsList()) return At(line, expected);
  std::size_t index = 0;
  const char* last = index_text.data() + index_text.size();
  const auto [end, error] = std::from_chars(index_text.data(), last, index);
  if (error != std::errc() || end != last) return At(line, expected);
  if (index >= list.items.size()) {
    return At(line,
              fmt::format("Fn::Select: no item {} in a list of {}", index, list.items.size()));
  }
  return list.items[index];
}

Result<YamlNode> Intrinsics::Split(const YamlNode& argument, int line) {
  const std::string expected = "Fn::Split: expected a delimiter and a text";
  TRY(YamlNode pair, ListOf(argument, 2, expected));
  TRY(std::string delimiter, Text(pair.items[0], expected));
  TRY(std::string text, Text(pair.items[1], expected));
  if (delimiter.empty()) return At(line, "Fn::Split: the delimiter is empty");
  if (HasPlaceholder(text)) {
    return At(line, "Fn::Split: the text is known only once its resource is deployed");
  }
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (std::size_t hit; (hit = text.find(delimiter, at)) != std::string::npos;) {
    parts.push_back(text.substr(at, hit - at));
    at = hit + delimiter.size();
  }
  parts.push_back(text.substr(at));
  return List(parts, line);
}

Result<YamlNode> Intrinsics::If(const YamlNode& argument, int line) {
  const std::string expected = "Fn::If: expected a condition and two values";
  if (!argument.IsList() || argument.items.size() != 3 || !argument.items[0].IsScalar()) {
    return At(line, expected);
  }
  TRY(bool truth, Condition(argument.items[0].scalar, line));
  TRY(YamlNode chosen, Resolve(argument.items[truth ? 1 : 2]));
  return chosen;
}

Result<YamlNode> Intrinsics::FindInMap(const YamlNode& argument, int line) {
  TRY(YamlNode keys, ListOf(argument, 3, "Fn::FindInMap: expected a map and two keys"));
  const YamlNode* at = mappings_;
  std::string path;
  for (const YamlNode& key : keys.items) {
    TRY(std::string name, Text(key, "Fn::FindInMap"));
    path += (path.empty() ? "" : ".") + name;
    at = at == nullptr ? nullptr : at->Find(name);
    if (at == nullptr) return At(line, fmt::format("Fn::FindInMap: no {} in Mappings", path));
  }
  return *at;
}

Result<std::string> Intrinsics::Text(const YamlNode& node, const std::string& what) {
  TRY(YamlNode resolved, Resolve(node));
  if (resolved.IsScalar()) return resolved.scalar;
  return At(node.line,
            what + (what.find("expected") == std::string::npos ? ": expected a text" : ""));
}

Result<YamlNode> Intrinsics::ListOf(const YamlNode& node, std::size_t size,
                                    const std::string& what) {
  if (!node.IsList() || node.items.size() != size) return At(node.line, what);
  return node;
}

Result<bool> Intrinsics::Condition(const std::string& name, int line) {
  if (const auto known = known_conditions_.find(name); known != known_conditions_.end()) {
    return known->second;
  }
  const YamlNode* node = conditions_ == nullptr ? nullptr : conditions_->Find(name);
  if (node == nullptr) return At(line, fmt::format("{}: no such condition", name));
  if (!open_conditions_.insert(name).second) {
    return At(node->line, fmt::format("condition {} needs itself", name));
  }
  TRY(bool truth, Truth(*node));
  open_conditions_.erase(name);
  known_conditions_[name] = truth;
  return truth;
}

Result<bool> Intrinsics::Truth(const YamlNode& node) {
  if (node.IsMap() && node.fields.size() == 1 && node.fields[0].name == "Condition" &&
      node.fields[0].value.IsScalar()) {
    return Condition(node.fields[0].value.scalar, node.line);
  }
  const auto call = AsCall(node);
  if (!call) {
    if (node.IsScalar() && (node.scalar == "true" || node.scalar == "false")) {
      return node.scalar == "true";
    }
    return At(node.line, "expected a condition function, e.g. !Equals [a, b]");
  }
  if (call->name == "Condition") return Condition(call->argument.scalar, node.line);
  if (call->name == "Fn::Equals") {
    TRY(YamlNode pair, ListOf(call->argument, 2, "Fn::Equals: expected two values"));
    TRY(std::string left, Text(pair.items[0], "Fn::Equals"));
    TRY(std::string right, Text(pair.items[1], "Fn::Equals"));
    return left == right;
  }
  return Combined(*call, node.line);
}

Result<bool> Intrinsics::Combined(const Call& call, int line) {
  const bool is_and = call.name == "Fn::And";
  const bool is_not = call.name == "Fn::Not";
  if (!is_and && !is_not && call.name != "Fn::Or") {
    return At(line, fmt::format("{} is no condition function", call.name));
  }
  const std::size_t size = call.argument.items.size();
  if (!call.argument.IsList() || (is_not ? size != 1 : size < 2)) {
    return At(line, fmt::format("{}: expected a list of {}", call.name,
                                is_not ? "one condition" : "conditions"));
  }
  bool all = true, any = false;
  for (const YamlNode& item : call.argument.items) {
    TRY(bool truth, Truth(item));
    all = all && truth;
    any = any || truth;
  }
  if (is_not) return !any;
  return is_and ? all : any;
}

}  // namespace samovar
