#include "collections/filter.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <optional>
#include <vector>

#include "collections/attributes.h"

namespace samovar {

namespace json = boost::json;

class Filter::Node {
 public:
  virtual ~Node() = default;
  virtual bool Matches(std::string_view attributes) const = 0;
};

namespace {

using NodePtr = std::shared_ptr<const Filter::Node>;
constexpr int kMaxDepth = 16;

std::optional<double> AsNumber(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A value to compare with, as canonical text and as a number where it is one.
struct Operand {
  explicit Operand(const json::value& value)
      : text(json::serialize(value)), number(AsNumber(text)) {}
  bool Equals(std::string_view other) const {
    if (text == other) return true;
    if (!number) return false;
    const auto its = AsNumber(other);  // 1 and 1E0
    return its && *its == *number;
  }
  // below 0, 0, above 0; nullopt where the kinds differ.
  std::optional<int> Compare(std::string_view other) const {
    if (number) {
      const auto its = AsNumber(other);
      if (!its) return std::nullopt;
      return *its < *number ? -1 : *its > *number ? 1 : 0;
    }
    if (!text.starts_with('"') || !other.starts_with('"')) return std::nullopt;
    const auto inner = [](std::string_view quoted) { return quoted.substr(1, quoted.size() - 2); };
    return inner(other).compare(inner(text));
  }
  std::string text;
  std::optional<double> number;
};

class AnyOf final : public Filter::Node {
 public:
  AnyOf(std::string member, std::vector<Operand> operands)
      : member_(std::move(member)), operands_(std::move(operands)) {}
  bool Matches(std::string_view attributes) const override {
    return AnyElement(FindMember(attributes, member_), [this](std::string_view element) {
      for (const auto& operand : operands_) {
        if (operand.Equals(element)) return true;
      }
      return false;
    });
  }

 private:
  std::string member_;
  std::vector<Operand> operands_;
};

struct Bound {
  bool below;  // the element is to be below the operand
  bool equal;  // or equal to it
  Operand operand;
};

class InRange final : public Filter::Node {
 public:
  InRange(std::string member, std::vector<Bound> bounds)
      : member_(std::move(member)), bounds_(std::move(bounds)) {}
  bool Matches(std::string_view attributes) const override {
    return AnyElement(FindMember(attributes, member_), [this](std::string_view element) {
      for (const auto& bound : bounds_) {
        const auto order = bound.operand.Compare(element);
        if (!order || (*order == 0 ? !bound.equal : (*order < 0) != bound.below)) return false;
      }
      return true;
    });
  }

 private:
  std::string member_;
  std::vector<Bound> bounds_;
};

class Junction final : public Filter::Node {
 public:
  Junction(bool all, std::vector<NodePtr> parts) : all_(all), parts_(std::move(parts)) {}
  bool Matches(std::string_view attributes) const override {
    for (const auto& part : parts_) {
      if (part->Matches(attributes) != all_) return !all_;
    }
    return all_;
  }

 private:
  bool all_;
  std::vector<NodePtr> parts_;
};

class Not final : public Filter::Node {
 public:
  explicit Not(NodePtr part) : part_(std::move(part)) {}
  bool Matches(std::string_view attributes) const override { return !part_->Matches(attributes); }

 private:
  NodePtr part_;
};

std::unexpected<Error> Wrong(std::string_view what) {
  return Fail(Code::kInvalid, "filter: " + std::string(what));
}

// The one member of an object, {"year": VALUE}.
Result<std::pair<std::string, const json::value*>> OnlyMember(const json::value& value,
                                                              std::string_view where) {
  if (!value.is_object() || value.get_object().size() != 1) {
    return Wrong(std::string(where) + ": expected an object with one member");
  }
  const auto& member = *value.get_object().begin();
  return std::pair(json::serialize(json::string(member.key())), &member.value());
}

Result<NodePtr> ParseEqual(const json::value& value) {
  TRY(auto member, OnlyMember(value, "eq"));
  if (member.second->is_structured())
    return Wrong("eq: expected a string, number, boolean or null");
  return std::make_shared<AnyOf>(member.first, std::vector{Operand(*member.second)});
}

Result<NodePtr> ParseIn(const json::value& value) {
  TRY(auto member, OnlyMember(value, "in"));
  if (!member.second->is_array()) return Wrong("in: expected an array of values");
  std::vector<Operand> operands;
  for (const auto& element : member.second->get_array()) {
    if (element.is_structured()) return Wrong("in: a value is an object or array");
    operands.emplace_back(element);
  }
  return std::make_shared<AnyOf>(member.first, std::move(operands));
}

Result<NodePtr> ParseRange(const json::value& value) {
  TRY(auto member, OnlyMember(value, "range"));
  if (!member.second->is_object() || member.second->get_object().empty()) {
    return Wrong("range: expected an object with gte, gt, lte or lt");
  }
  std::vector<Bound> bounds;
  for (const auto& [name, operand] : member.second->get_object()) {
    if (name != "gte" && name != "gt" && name != "lte" && name != "lt") {
      return Wrong("range: there is no " + std::string(name) + "; it may be gte, gt, lte or lt");
    }
    if (!operand.is_number() && !operand.is_string()) {
      return Wrong("range: expected a number or a string for " + std::string(name));
    }
    if (operand.is_string() != member.second->get_object().begin()->value().is_string()) {
      return Wrong("range: " + member.first +
                   ": one bound is a number and another a string: nothing is both");
    }
    bounds.push_back({name.starts_with('l'), name.ends_with('e'), Operand(operand)});
  }
  return std::make_shared<InRange>(member.first, std::move(bounds));
}

Result<NodePtr> ParseNode(const json::value& value, int depth);

Result<NodePtr> ParseJunction(const json::value& value, bool all, int depth) {
  const std::string_view name = all ? "and" : "or";
  if (!value.is_array()) return Wrong(std::string(name) + ": expected an array of filters");
  std::vector<NodePtr> parts;
  for (const auto& part : value.get_array()) {
    TRY(auto parsed, ParseNode(part, depth + 1));
    parts.push_back(std::move(parsed));
  }
  return std::make_shared<Junction>(all, std::move(parts));
}

Result<NodePtr> ParseNode(const json::value& value, int depth) {
  if (depth > kMaxDepth) return Wrong("it is nested too deeply");
  if (!value.is_object() || value.get_object().size() != 1) {
    return Wrong("expected an object with one of eq, range, in, and, or, not");
  }
  const auto& [name, inner] = *value.get_object().begin();
  if (name == "eq") return ParseEqual(inner);
  if (name == "in") return ParseIn(inner);
  if (name == "range") return ParseRange(inner);
  if (name == "and") return ParseJunction(inner, true, depth);
  if (name == "or") return ParseJunction(inner, false, depth);
  if (name == "not") {
    TRY(auto part, ParseNode(inner, depth + 1));
    return std::make_shared<Not>(std::move(part));
  }
  return Wrong("there is no " + std::string(name) + "; it may be eq, range, in, and, or, not");
}

}  // namespace

Result<Filter> Filter::Parse(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error) return Wrong("not JSON: " + error.message());
  Filter filter;
  TRY(filter.root_, ParseNode(value, 0));
  return filter;
}

bool Filter::Matches(std::string_view attributes) const {
  return !root_ || root_->Matches(attributes);
}

}  // namespace samovar
