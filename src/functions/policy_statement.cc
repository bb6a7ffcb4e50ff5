#include "functions/policy_statement.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "functions/input.h"

namespace samovar {
namespace {

namespace json = boost::json;

bool IsAccount(std::string_view text) {
  return text.size() == 12 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool IsService(std::string_view text) {
  return text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn") ||
         text.ends_with(".amazon.com");
}

Result<json::value> PrincipalOf(std::string_view principal) {
  if (principal == "*") return json::value("*");
  if (IsAccount(principal)) {
    return json::value{{"AWS", fmt::format("arn:aws:iam::{}:root", principal)}};
  }
  if (principal.starts_with("arn:aws") && (principal.find(":iam:") != std::string_view::npos ||
                                           principal.find(":sts:") != std::string_view::npos)) {
    return json::value{{"AWS", principal}};
  }
  if (IsService(principal)) return json::value{{"Service", principal}};
  return InvalidParameter(
      "The provided principal was invalid. Please check the principal and try again.");
}

bool Matches(const json::value* member, std::string_view wanted) {
  const auto one = [&](const json::value& value) {
    return value.is_string() && (std::string_view(value.get_string()) == wanted ||
                                 value.get_string() == "lambda:*" || value.get_string() == "*");
  };
  if (!member) return false;
  if (const auto* list = member->if_array()) return std::ranges::any_of(*list, one);
  return one(*member);
}

// Conditions that an unsigned call through a URL of AuthType NONE fulfils; all others fail it.
bool UrlCallFulfils(const json::object& conditions) {
  for (const auto& [op, keys] : conditions) {
    const auto* object = keys.if_object();
    if (!object) return false;
    for (const auto& [key, value] : *object) {
      const bool open =
          op == "StringEquals" && key == "lambda:FunctionUrlAuthType" && value == "NONE";
      const bool via = op == "Bool" && key == "lambda:InvokedViaFunctionUrl" && value == "true";
      if (!open && !via) return false;
    }
  }
  return true;
}

}  // namespace

Result<json::object> MakeStatement(const json::object& input, std::string_view resource) {
  TRY(auto principal, PrincipalOf(TextOf(input, "Principal")));
  json::object statement{{"Sid", TextOf(input, "StatementId")},
                         {"Effect", "Allow"},
                         {"Principal", std::move(principal)},
                         {"Action", TextOf(input, "Action")},
                         {"Resource", resource}};
  json::object equals, like, conditions;
  const std::pair<std::string_view, std::string_view> members[] = {
      {"SourceAccount", "AWS:SourceAccount"},
      {"FunctionUrlAuthType", "lambda:FunctionUrlAuthType"},
      {"PrincipalOrgID", "aws:PrincipalOrgID"},
      {"EventSourceToken", "lambda:EventSourceToken"},
  };
  for (const auto& [member, key] : members) {
    if (Has(input, member)) equals[key] = input.at(member);
  }
  if (Has(input, "SourceArn")) like["AWS:SourceArn"] = input.at("SourceArn");
  if (!equals.empty()) conditions["StringEquals"] = std::move(equals);
  if (!like.empty()) conditions["ArnLike"] = std::move(like);
  if (FlagOf(input, "InvokedViaFunctionUrl")) {
    conditions["Bool"] = json::object{{"lambda:InvokedViaFunctionUrl", "true"}};
  }
  // An organisation of layers' permissions: the member's name differs, the condition does not.
  if (Has(input, "OrganizationId")) {
    conditions["StringEquals"] = json::object{{"aws:PrincipalOrgID", input.at("OrganizationId")}};
  }
  if (!conditions.empty()) statement["Condition"] = std::move(conditions);
  return statement;
}

std::string PolicyDocument(const json::array& statements) {
  return json::serialize(
      json::object{{"Version", "2012-10-17"}, {"Id", "default"}, {"Statement", statements}});
}

std::size_t FindStatement(const json::array& statements, std::string_view sid) {
  const auto found = std::ranges::find_if(statements, [&](const json::value& statement) {
    return TextOf(statement.as_object(), "Sid") == sid;
  });
  return static_cast<std::size_t>(found - statements.begin());
}

bool AllowsEveryone(const json::array& statements, std::string_view action) {
  return std::ranges::any_of(statements, [&](const json::value& value) {
    const auto& statement = value.as_object();
    const auto* conditions = ObjectOf(statement, "Condition");
    return TextOf(statement, "Effect") == "Allow" && TextOf(statement, "Principal") == "*" &&
           Matches(statement.if_contains("Action"), action) &&
           (!conditions || UrlCallFulfils(*conditions));
  });
}

Error DuplicateStatement(std::string_view sid) {
  return Error{Code::kConflict,
               fmt::format("The statement id ({}) provided already exists. Please provide a new "
                           "statement id, or remove the existing statement.",
                           sid),
               "ResourceConflictException"};
}

}  // namespace samovar
