#pragma once
// The steps of ReadTemplate, each in a file of its own.

#include <set>
#include <string>

#include "main/intrinsics.h"
#include "main/plan.h"
#include "main/template.h"
#include "main/yaml.h"

namespace samovar {

// One entry of Resources that is served, before its properties are resolved.
struct Resource {
  std::string id;
  std::string type;
  int line = 0;
  YamlNode properties;       // Globals merged in
  std::string build_method;  // Metadata.BuildMethod
  std::vector<std::string> depends_on;
};

// template_parameters.cc: puts the values of Parameters into symbols.refs and symbols.lists.
Result<void> BindParameters(const YamlNode* parameters, const TemplateInput& input,
                            Symbols& symbols, std::vector<Warning>& warnings);

// template_globals.cc: as SAM merges: maps key by key, lists one after the other, else the
// resource's own value.
YamlNode MergeGlobals(const YamlNode& global, const YamlNode& own);

// A resource's resolved properties, read one by one; what was not read is reported.
class Properties {
 public:
  Properties(const Resource& resource, const YamlNode& resolved, Intrinsics& intrinsics);

  const YamlNode* Take(std::string_view name);  // null where absent
  Result<std::string> Text(std::string_view name, std::string fallback = {});
  Result<std::optional<int>> Number(std::string_view name);
  Result<std::vector<std::string>> Texts(std::string_view name);
  Result<std::map<std::string, std::string>> TextMap(std::string_view name);
  // Marks as read, without a word.
  void Ignore(std::initializer_list<std::string_view> names);
  // Warns "ID.NAME: why" where it is given.
  void Leave(std::string_view name, std::string_view why);
  // Warns of everything that was not read.
  void WarnOfRest();

  std::unexpected<Error> At(int line, std::string_view name, const std::string& what) const;
  int Line() const { return resource_.line; }

 private:
  const Resource& resource_;
  const YamlNode& resolved_;
  Intrinsics& intrinsics_;
  std::set<std::string, std::less<>> read_;
};

// A resolved node as JSON: plain numbers and booleans become such, quoted ones stay texts.
boost::json::value NodeJson(const YamlNode& node);

// Resource by resource (template_function.cc, template_lambda.cc, template_layer.cc).
struct PartContext {
  const TemplateInput& input;
  Intrinsics& intrinsics;
  Plan& plan;
};
Result<void> AddServerlessFunction(const Resource& resource, PartContext context);
Result<void> AddLambdaFunction(const Resource& resource, PartContext context);
Result<void> AddLayer(const Resource& resource, PartContext context);  // both kinds
// AWS::Lambda::Url, Version, Alias, Permission, EventInvokeConfig: joined to their function.
Result<void> AttachToFunction(const Resource& resource, PartContext context);
// What both kinds of function have in common, into plan.configuration.
Result<void> ReadCommonConfiguration(Properties& properties, FunctionPlan& function);

// The name a resource gets: its own (FunctionName, LayerName), or its logical id.
Result<std::string> ResourceName(const Resource& resource, const TemplateInput& input,
                                 Intrinsics& intrinsics);
// A whole number out of a scalar node; nullopt for anything else.
std::optional<int> NodeNumber(const YamlNode& node);
// A role for the API, which wants one; nothing here is granted by it.
std::string DummyRole(const TemplateInput& input);

}  // namespace samovar
