#pragma once
// ReadTemplate: a SAM (or plain CloudFormation) template, worked out to a Plan.
//
// How      Parameters, Conditions, Mappings, Globals and the intrinsic functions are resolved, then
//          each resource that we serve becomes a part of the plan. What we do not serve is a
//          warning that names it and its line; docs/deploy.md lists what is served.
// Errors   kInvalid "FILE:LINE: RESOURCE.PROPERTY: expected ...".
// Threads  Pure: no I/O. Safe to fuzz.
// Source   AWS SAM specification 2016-10-31; CloudFormation's AWS::Lambda resources.

#include <map>
#include <string>

#include "base/error.h"
#include "main/plan.h"

namespace samovar {

struct TemplateInput {
  std::string text;
  std::string file = "template.yaml";             // for messages
  std::map<std::string, std::string> parameters;  // given by the user
  std::string stack_name = "samovar";             // AWS::StackName
  bool prefix_names = false;  // functions without a name of their own: STACK-ID instead of ID
  std::string region = "us-east-1";
  std::string account_id = "000000000000";
};

Result<Plan> ReadTemplate(const TemplateInput& input);

}  // namespace samovar
