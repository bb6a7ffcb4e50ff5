#pragma once
// Intrinsics: CloudFormation's functions (!Ref, !Sub, !GetAtt, !If, ...) worked out in a template.
//
// How      Resolve() answers the same tree with every call replaced by its value; lines stay. What
//          a name stands for comes in as Symbols. Properties that become AWS::NoValue disappear.
// Errors   kInvalid "FILE:LINE: what". An intrinsic that is known but not supported is a warning,
//          and its property is left out.
// Threads  One template, one thread.
// Source   AWS CloudFormation, "Intrinsic function reference".

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "main/plan.h"
#include "main/yaml.h"

namespace samovar {

struct Symbols {
  std::map<std::string, std::string> refs;                // !Ref NAME
  std::map<std::string, std::vector<std::string>> lists;  // !Ref of a list parameter
  std::map<std::string, std::string> attributes;          // "Id.Attribute"
  std::map<std::string, std::string> foreign;             // resources not deployed -> their type
  std::string region = "us-east-1";
  std::string account_id = "000000000000";
};

class Intrinsics {
 public:
  // `mappings` and `conditions` may be null; they and `symbols` outlive this.
  Intrinsics(std::string file, const Symbols& symbols, const YamlNode* mappings,
             const YamlNode* conditions, std::vector<Warning>& warnings);

  Result<YamlNode> Resolve(const YamlNode& node);
  Result<bool> Condition(const std::string& name, int line);

  std::unexpected<Error> At(int line, const std::string& what) const;
  void Warn(int line, std::string what);

 private:
  struct Call {
    std::string name;  // "Ref", "Condition", "Fn::Sub"
    YamlNode argument;
  };
  std::optional<Call> AsCall(const YamlNode& node) const;
  Result<YamlNode> Evaluate(const Call& call, int line);
  Result<YamlNode> Ref(const std::string& name, int line);
  Result<YamlNode> GetAtt(const YamlNode& argument, int line);
  Result<YamlNode> Sub(const YamlNode& argument, int line);
  Result<YamlNode> Join(const YamlNode& argument, int line);
  Result<YamlNode> Select(const YamlNode& argument, int line);
  Result<YamlNode> Split(const YamlNode& argument, int line);
  Result<YamlNode> If(const YamlNode& argument, int line);
  Result<YamlNode> FindInMap(const YamlNode& argument, int line);
  Result<std::string> Attribute(const std::string& id, const std::string& attribute, int line);
  Result<std::string> Text(const YamlNode& node, const std::string& what);
  Result<YamlNode> ListOf(const YamlNode& node, std::size_t size, const std::string& what);
  Result<bool> Truth(const YamlNode& node);
  Result<bool> Combined(const Call& call, int line);

  std::string file_;
  const Symbols& symbols_;
  const YamlNode* mappings_;
  const YamlNode* conditions_;
  std::vector<Warning>& warnings_;
  std::map<std::string, bool> known_conditions_;
  std::set<std::string> open_conditions_;  // being worked out: to find circles
};

}  // namespace samovar
