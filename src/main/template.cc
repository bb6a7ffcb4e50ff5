#include "main/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <functional>
#include <tuple>

#include "main/template_parts.h"

namespace samovar {

namespace {

bool Attached(const std::string& type) {
  return type == "AWS::Lambda::Url" || type == "AWS::Lambda::Version" ||
         type == "AWS::Lambda::Alias" || type == "AWS::Lambda::Permission" ||
         type == "AWS::Lambda::EventInvokeConfig";
}
bool Function(const std::string& type) {
  return type == "AWS::Serverless::Function" || type == "AWS::Lambda::Function";
}
bool Layer(const std::string& type) {
  return type == "AWS::Serverless::LayerVersion" || type == "AWS::Lambda::LayerVersion";
}

class Reader {
 public:
  Reader(const TemplateInput& input, const YamlNode& root)
      : input_(input),
        root_(root),
        intrinsics_(input.file, symbols_, Section("Mappings"), Section("Conditions"),
                    plan_.warnings) {}

  Result<Plan> Read() {
    symbols_.region = input_.region;
    symbols_.account_id = input_.account_id;
    TRY(BindParameters(Section("Parameters"), input_, symbols_, plan_.warnings));
    BindPseudoParameters();
    WarnOfSections();
    TRY(CollectResources());
    TRY(BindResources());
    TRY(AddResources());
    TRY(Order());
    TRY(AddOutputs());
    std::sort(plan_.warnings.begin(), plan_.warnings.end(), [](const Warning& a, const Warning& b) {
      return std::tie(a.line, a.message) < std::tie(b.line, b.message);
    });
    return std::move(plan_);
  }

 private:
  const YamlNode* Section(std::string_view name) const {
    const YamlNode* section = root_.Find(name);
    return section == nullptr || section->IsNull() ? nullptr : section;
  }

  void BindPseudoParameters() {
    symbols_.refs["AWS::Region"] = input_.region;
    symbols_.refs["AWS::AccountId"] = input_.account_id;
    symbols_.refs["AWS::StackName"] = input_.stack_name;
    symbols_.refs["AWS::StackId"] =
        fmt::format("arn:aws:cloudformation:{}:{}:stack/{}/samovar", input_.region,
                    input_.account_id, input_.stack_name);
    symbols_.refs["AWS::Partition"] = "aws";
    symbols_.refs["AWS::URLSuffix"] = "amazonaws.com";
    symbols_.lists["AWS::NotificationARNs"] = {};
  }

  void WarnOfSections() {
    constexpr std::string_view kKnown[] = {"AWSTemplateFormatVersion",
                                           "Transform",
                                           "Description",
                                           "Metadata",
                                           "Parameters",
                                           "Mappings",
                                           "Conditions",
                                           "Globals",
                                           "Resources",
                                           "Outputs"};
    for (const YamlField& field : root_.fields) {
      if (std::find(std::begin(kKnown), std::end(kKnown), field.name) == std::end(kKnown)) {
        intrinsics_.Warn(field.value.line,
                         fmt::format("{}: no section that is known here; left out", field.name));
      }
    }
    if (const YamlNode* transform = Section("Transform")) WarnOfTransform(*transform);
    const YamlNode* globals = Section("Globals");
    if (globals == nullptr) return;
    for (const YamlField& field : globals->fields) {
      if (field.name == "Function" || field.name == "LayerVersion") continue;
      intrinsics_.Warn(field.value.line,
                       fmt::format("Globals.{} is not supported and left out", field.name));
    }
  }

  void WarnOfTransform(const YamlNode& transform) {
    if (transform.IsList()) {
      for (const YamlNode& item : transform.items) WarnOfTransform(item);
      return;
    }
    if (transform.scalar.starts_with("AWS::Serverless-") || transform.scalar.empty()) return;
    intrinsics_.Warn(transform.line,
                     fmt::format("Transform {} is not supported and left out", transform.scalar));
  }

  Result<void> CollectResources() {
    const YamlNode* resources = Section("Resources");
    if (resources == nullptr || !resources->IsMap()) {
      return intrinsics_.At(root_.line, "expected a map Resources");
    }
    for (const YamlField& field : resources->fields) {
      const YamlNode* type = field.value.Find("Type");
      if (type == nullptr || !type->IsScalar()) {
        return intrinsics_.At(field.value.line, field.name + ".Type: missing");
      }
      if (const YamlNode* condition = field.value.Find("Condition")) {
        TRY(bool wanted, intrinsics_.Condition(condition->scalar, condition->line));
        if (!wanted) continue;
      }
      resources_.push_back(MakeResource(field, type->scalar));
    }
    return {};
  }

  Resource MakeResource(const YamlField& field, const std::string& type) {
    Resource resource;
    resource.id = field.name;
    resource.type = type;
    resource.line = field.value.line;
    if (const YamlNode* properties = field.value.Find("Properties")) {
      resource.properties = *properties;
    }
    if (resource.properties.IsNull()) resource.properties.kind = YamlNode::Kind::kMap;
    const YamlNode* globals = Section("Globals");
    const YamlNode* global = globals == nullptr                    ? nullptr
                             : type == "AWS::Serverless::Function" ? globals->Find("Function")
                             : type == "AWS::Serverless::LayerVersion"
                                 ? globals->Find("LayerVersion")
                                 : nullptr;
    if (global != nullptr) resource.properties = MergeGlobals(*global, resource.properties);
    if (const YamlNode* metadata = field.value.Find("Metadata")) {
      const YamlNode* method = metadata->Find("BuildMethod");
      const YamlNode* skip = metadata->Find("SkipBuild");
      if (method != nullptr) resource.build_method = method->scalar;
      if (skip != nullptr && (skip->scalar == "true" || skip->scalar == "True")) {
        resource.build_method = "none";
      }
    }
    if (const YamlNode* depends = field.value.Find("DependsOn")) {
      if (depends->IsScalar()) resource.depends_on.push_back(depends->scalar);
      for (const YamlNode& item : depends->items) resource.depends_on.push_back(item.scalar);
    }
    return resource;
  }

  // What !Ref and !GetAtt of each resource stand for.
  Result<void> BindResources() {
    for (const Resource& resource : resources_) {
      if (Function(resource.type)) {
        TRY(BindFunction(resource));
      } else if (Layer(resource.type)) {
        symbols_.refs[resource.id] = Placeholder(resource.id, "Arn");
        symbols_.attributes[resource.id + ".Arn"] = Placeholder(resource.id, "Arn");
        symbols_.attributes[resource.id + ".LayerVersionArn"] = Placeholder(resource.id, "Arn");
      } else if (!Attached(resource.type)) {
        TRY(BindForeign(resource));
      }
    }
    for (const Resource& resource : resources_) {
      if (Attached(resource.type)) TRY(BindAttached(resource));
    }
    return {};
  }

  std::string FunctionArn(const std::string& name) const {
    return fmt::format("arn:aws:lambda:{}:{}:function:{}", input_.region, input_.account_id, name);
  }

  Result<void> BindFunction(const Resource& resource) {
    TRY(std::string name, ResourceName(resource, input_, intrinsics_));
    const std::string& id = resource.id;
    const std::string arn = FunctionArn(name);
    symbols_.refs[id] = name;
    symbols_.attributes[id + ".Arn"] = arn;
    functions_by_name_[name] = id;
    if (resource.type != "AWS::Serverless::Function") return {};
    symbols_.refs[id + "Role"] = "samovar";
    symbols_.attributes[id + "Role.Arn"] = DummyRole(input_);
    if (resource.properties.Find("FunctionUrlConfig") != nullptr) {
      symbols_.refs[id + "Url"] = arn;
      symbols_.attributes[id + "Url.FunctionUrl"] = Placeholder(id, "FunctionUrl");
      symbols_.attributes[id + "Url.FunctionArn"] = arn;
    }
    if (const YamlNode* alias_node = resource.properties.Find("AutoPublishAlias")) {
      TRY(YamlNode alias, intrinsics_.Resolve(*alias_node));
      symbols_.refs[id + ".Alias"] = arn + ":" + alias.scalar;
      symbols_.refs[id + "Alias" + alias.scalar] = arn + ":" + alias.scalar;
      symbols_.refs[id + ".Version"] = Placeholder(id, "VersionArn");
      symbols_.attributes[id + ".Version"] = Placeholder(id, "Version");
    }
    return {};
  }

  Result<void> BindAttached(const Resource& resource) {
    const char* target = resource.type == "AWS::Lambda::Url" ? "TargetFunctionArn" : "FunctionName";
    const YamlNode* node = resource.properties.Find(target);
    if (node == nullptr) {
      return intrinsics_.At(resource.line, fmt::format("{}.{}: missing", resource.id, target));
    }
    TRY(YamlNode resolved, intrinsics_.Resolve(*node));
    std::string name = resolved.scalar;
    if (const std::size_t at = name.find(":function:"); at != std::string::npos) {
      name = name.substr(at + 10);
    }
    const auto found = functions_by_name_.find(name.substr(0, name.find(':')));
    if (found == functions_by_name_.end()) return {};
    const std::string& id = found->second;
    const std::string arn = FunctionArn(found->first);
    if (resource.type == "AWS::Lambda::Url") {
      symbols_.refs[resource.id] = arn;
      symbols_.attributes[resource.id + ".FunctionUrl"] = Placeholder(id, "FunctionUrl");
      symbols_.attributes[resource.id + ".FunctionArn"] = arn;
    } else if (resource.type == "AWS::Lambda::Version") {
      symbols_.refs[resource.id] = Placeholder(id, "VersionArn");
      symbols_.attributes[resource.id + ".Version"] = Placeholder(id, "Version");
    } else if (resource.type == "AWS::Lambda::Alias") {
      const YamlNode* alias = resource.properties.Find("Name");
      symbols_.refs[resource.id] = arn + ":" + (alias == nullptr ? "" : alias->scalar);
    } else {
      symbols_.refs[resource.id] = resource.id;
    }
    return {};
  }

  Result<void> BindForeign(const Resource& resource) {
    constexpr std::string_view kNames[] = {"TableName", "BucketName",   "QueueName", "TopicName",
                                           "RoleName",  "LogGroupName", "Name"};
    std::string name = resource.id;
    for (const std::string_view property : kNames) {
      const YamlNode* node = resource.properties.Find(property);
      if (node == nullptr) continue;
      TRY(YamlNode resolved, intrinsics_.Resolve(*node));
      if (resolved.IsScalar()) name = resolved.scalar;
    }
    symbols_.refs[resource.id] = name;
    symbols_.foreign[resource.id] = resource.type;
    if (resource.type == "AWS::IAM::Role") {
      symbols_.attributes[resource.id + ".Arn"] =
          fmt::format("arn:aws:iam::{}:role/{}", input_.account_id, name);
    }
    intrinsics_.Warn(resource.line, fmt::format("{}: resources of type {} are not served and left "
                                                "out",
                                                resource.id, resource.type));
    return {};
  }

  Result<void> AddResources() {
    const PartContext context{.input = input_, .intrinsics = intrinsics_, .plan = plan_};
    for (const Resource& resource : resources_) {
      if (resource.type == "AWS::Serverless::Function") {
        TRY(AddServerlessFunction(resource, context));
      } else if (resource.type == "AWS::Lambda::Function") {
        TRY(AddLambdaFunction(resource, context));
      } else if (Layer(resource.type)) {
        TRY(AddLayer(resource, context));
      }
    }
    for (const Resource& resource : resources_) {
      if (Attached(resource.type)) TRY(AttachToFunction(resource, context));
    }
    return {};
  }

  // Functions after those whose placeholders or DependsOn they name; otherwise as written.
  Result<void> Order() {
    std::vector<FunctionPlan> ordered;
    std::map<std::string, int> state;  // 1: being visited, 2: done
    std::function<Result<void>(FunctionPlan&)> visit = [&](FunctionPlan& function) -> Result<void> {
      int& mine = state[function.logical_id];
      if (mine == 2) return {};
      if (mine == 1) {
        return intrinsics_.At(
            function.line,
            fmt::format("{} needs itself, by way of what it refers to", function.logical_id));
      }
      mine = 1;
      for (const std::string& id : Needs(function)) {
        for (FunctionPlan& other : plan_.functions) {
          if (other.logical_id == id) TRY(visit(other));
        }
      }
      state[function.logical_id] = 2;
      ordered.push_back(function);
      return {};
    };
    for (FunctionPlan& function : plan_.functions) TRY(visit(function));
    plan_.functions = std::move(ordered);
    return {};
  }

  std::vector<std::string> Needs(const FunctionPlan& function) const {
    std::vector<std::string> ids = PlaceholderIds(boost::json::serialize(function.configuration));
    for (const Resource& resource : resources_) {
      if (resource.id != function.logical_id) continue;
      ids.insert(ids.end(), resource.depends_on.begin(), resource.depends_on.end());
    }
    return ids;
  }

  Result<void> AddOutputs() {
    const YamlNode* outputs = Section("Outputs");
    if (outputs == nullptr) return {};
    for (const YamlField& field : outputs->fields) {
      if (const YamlNode* condition = field.value.Find("Condition")) {
        TRY(bool wanted, intrinsics_.Condition(condition->scalar, condition->line));
        if (!wanted) continue;
      }
      const YamlNode* value = field.value.Find("Value");
      if (value == nullptr) {
        return intrinsics_.At(field.value.line, "Outputs." + field.name + ".Value: missing");
      }
      const auto resolved = intrinsics_.Resolve(*value);
      if (!resolved) {  // an output of something that is not served must not stop the rest
        intrinsics_.Warn(field.value.line, fmt::format("Outputs.{} is left out: {}", field.name,
                                                       resolved.error().message));
        continue;
      }
      OutputPlan output{.name = field.name, .description = {}, .value = resolved->scalar};
      if (const YamlNode* text = field.value.Find("Description")) output.description = text->scalar;
      plan_.outputs.push_back(std::move(output));
    }
    return {};
  }

  const TemplateInput& input_;
  const YamlNode& root_;
  Plan plan_;
  Symbols symbols_;
  Intrinsics intrinsics_;
  std::vector<Resource> resources_;
  std::map<std::string, std::string> functions_by_name_;  // name -> logical id
};

}  // namespace

Result<Plan> ReadTemplate(const TemplateInput& input) {
  TRY(YamlNode root, ParseYaml(input.text, input.file));
  if (!root.IsMap()) {
    return Fail(Code::kInvalid, fmt::format("{}:{}: expected a template", input.file, root.line));
  }
  Reader reader(input, root);
  return reader.Read();
}

}  // namespace samovar
