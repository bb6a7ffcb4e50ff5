#include "collections/attributes.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "collections/schema.h"

namespace samovar {
namespace {

namespace json = boost::json;

Result<json::object> ParseObject(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) {
    return Fail(Code::kInvalid, "attributes: expected a JSON object");
  }
  return std::move(value.get_object());
}

Result<std::string> Bounded(std::string text) {
  if (text.size() <= kMaxAttributes) return text;
  return Fail(Code::kTooLarge, "attributes: a row may have " + std::to_string(kMaxAttributes) +
                                   " bytes, this one would have " + std::to_string(text.size()));
}

// Where the value that begins at `at` ends. Canonical text only.
std::size_t ValueEnd(std::string_view text, std::size_t at) {
  int depth = 0;
  for (bool in_string = false; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      in_string = c != '"';
      if (!in_string && depth == 0) return at + 1;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (c == ',' && depth == 0) {
      return at;
    }
  }
  return text.size();
}

// The members of a canonical object, in order.
class Members {
 public:
  explicit Members(std::string_view object) : text_(object) {}
  bool Next() {
    if (at_ >= text_.size() || text_[at_] != '"') return false;
    const std::size_t name_end = ValueEnd(text_, at_);
    if (name_end >= text_.size()) return false;
    const std::size_t value_end = ValueEnd(text_, name_end + 1);
    name_ = text_.substr(at_, name_end - at_);
    value_ = text_.substr(name_end + 1, value_end - name_end - 1);
    at_ = value_end + 1;
    return true;
  }
  std::string_view Name() const { return name_; }
  std::string_view Value() const { return value_; }

 private:
  std::string_view text_;
  std::size_t at_ = 1;  // after '{'
  std::string_view name_;
  std::string_view value_;
};

}  // namespace

Result<std::string> CanonicalAttributes(std::string_view json) {
  TRY(const auto object, ParseObject(json));
  return Bounded(json::serialize(object));
}

Result<std::string> MergeAttributes(std::string_view attributes, std::string_view patch) {
  // As text, so that a number that nobody changed keeps its digits.
  std::string merged = "{";
  auto add = [&](std::string_view name, std::string_view value) {
    if (value == "null") return;
    if (merged.size() > 1) merged += ',';
    merged.append(name).append(":").append(value);
  };
  for (Members old(attributes); old.Next();) {
    const std::string_view now = FindMember(patch, old.Name());
    // A null of its own stays.
    if (now.empty() && old.Value() == "null") {
      merged.append(merged.size() > 1 ? "," : "").append(old.Name()).append(":null");
    } else {
      add(old.Name(), now.empty() ? old.Value() : now);
    }
  }
  for (Members fresh(patch); fresh.Next();) {
    if (FindMember(attributes, fresh.Name()).empty()) add(fresh.Name(), fresh.Value());
  }
  merged += '}';
  return Bounded(std::move(merged));
}

std::string_view FindMember(std::string_view attributes, std::string_view name) {
  for (Members members(attributes); members.Next();) {
    if (members.Name() == name) return members.Value();
  }
  return {};
}

bool AnyElement(std::string_view value, const std::function<bool(std::string_view)>& visit) {
  if (value.empty() || value.front() != '[') return !value.empty() && visit(value);
  std::size_t at = 1;
  while (at + 1 < value.size()) {
    const std::size_t end = ValueEnd(value, at);
    if (visit(value.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace samovar
