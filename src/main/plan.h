#pragma once
// Plan: what a template (or the command line) asks to be on the server.
//
// Why      Reading a template and talking to a server are two things: the first is pure and tested
//          from data files, the second compares a plan with what is there.
// How      Values that exist only after something was deployed (a layer version's ARN, a function
//          URL) stand in the texts as placeholders "{{samovar:ID.ATTRIBUTE}}"; the deployment fills
//          them in, and their names give the order.
// Threads  Values.

#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace samovar {

// Something in a template that is left out or done differently, for people.
struct Warning {
  int line = 0;
  std::string message;
};

struct CodeSource {
  enum class Kind { kPath, kInline, kUploaded, kImage } kind = Kind::kPath;
  std::string path;  // a folder, a zip or a single file; as written, relative to the template;
                     // of kImage the name of an image that the server has
  std::string inline_text;   // the source of one file
  std::string bucket, key;   // kUploaded
  std::string build_method;  // Metadata.BuildMethod: "", "makefile", "python3.12", ...
};

struct AliasPlan {
  std::string name;
  std::string description;
  std::string version = {};  // "": the one published; else a number, perhaps a placeholder
  std::map<std::string, double> weights = {};  // the shares of other versions, from 0 to 1
  int provisioned = 0;                         // instances that are always ready
};

struct UrlPlan {
  std::string auth_type = "AWS_IAM";
  std::string invoke_mode = "BUFFERED";
  boost::json::object cors;  // empty for none
  std::string qualifier;     // an alias, or "" for $LATEST
};

struct PermissionPlan {
  std::string statement_id;
  std::string action;
  std::string principal;
  std::string url_auth_type;  // FunctionUrlAuthType, or ""
  std::string source_arn;
  std::string qualifier;
};

struct FunctionPlan {
  std::string logical_id;
  int line = 0;
  std::string name;
  CodeSource code;
  // The members of CreateFunction that say how it runs: Runtime, Handler, MemorySize, ...
  boost::json::object configuration;
  bool partial = false;  // what the configuration leaves out stays as it is
  std::map<std::string, std::string> tags;
  std::optional<int> reserved_concurrency;
  bool publish = false;  // a version is published when something changed
  std::string version_description;
  std::vector<AliasPlan> aliases;  // of the version published
  std::optional<UrlPlan> url;
  std::optional<boost::json::object> event_invoke;  // PutFunctionEventInvokeConfig's members
  std::vector<PermissionPlan> permissions;
};

struct LayerPlan {
  std::string logical_id;
  int line = 0;
  std::string name;
  std::string description;
  std::string license;
  CodeSource content;
  std::vector<std::string> runtimes, architectures;
  bool keep_old = true;  // RetentionPolicy: Retain
};

struct OutputPlan {
  std::string name;
  std::string description;
  std::string value;
};

struct Plan {
  std::vector<LayerPlan> layers;        // in the order to deploy
  std::vector<FunctionPlan> functions;  // in the order to deploy
  std::vector<OutputPlan> outputs;
  std::vector<Warning> warnings;
};

// For --dry-run --json and the tests.
boost::json::object PlanJson(const Plan& plan);

// "{{samovar:Hello.FunctionUrl}}"
std::string Placeholder(const std::string& logical_id, const std::string& attribute);
// The logical ids whose placeholders stand in `text`.
std::vector<std::string> PlaceholderIds(const std::string& text);
// Puts `known` ("Hello.FunctionUrl" -> value) in for placeholders, everywhere in the value.
std::string FillPlaceholders(const std::string& text,
                             const std::map<std::string, std::string>& known);
boost::json::value FillPlaceholdersIn(const boost::json::value& value,
                                      const std::map<std::string, std::string>& known);

}  // namespace samovar
