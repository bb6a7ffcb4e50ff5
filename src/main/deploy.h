#pragma once
// Deployer: makes the server hold what a Plan asks for, and changes nothing else.
//
// How      Each part is compared with what is there first: code by hash, configuration member by
//          member. A function is changed in the order configuration, code, version, alias, so that
//          callers of an alias never see half of it; when the code cannot be changed, the
//          configuration goes back to what it was. What a plan does not name (a URL, a concurrency
//          limit, retries) stays as it is.
// Errors   The server's, with the resource's name; what was deployed before it stays.
// Threads  One.

#include <map>
#include <string>
#include <vector>

#include "main/api_client.h"
#include "main/build_package.h"
#include "main/plan.h"
#include "main/progress.h"

namespace samovar {

struct Change {
  std::string kind;  // "function", "layer", "alias", "url"
  std::string name;
  std::string what;    // "created", "updated", "unchanged"
  std::string detail;  // "code, MemorySize 128 -> 256"
};

class Deployer {
 public:
  Deployer(const ApiClient& client, const BuildContext& context)
      : client_(client), context_(context) {}

  Result<void> Deploy(const Plan& plan);

  const std::vector<Change>& Changes() const { return changes_; }
  const std::vector<std::string>& Warnings() const { return warnings_; }
  // "Hello.FunctionUrl" -> its value, for outputs.
  const std::map<std::string, std::string>& Known() const { return known_; }

 private:
  // deploy.cc
  Result<void> Upload(const std::string& id, const BuiltPackage& package);
  Result<HttpReply> Put(Progress* progress, const std::string& path, const std::string& file,
                        const std::string& sha256);
  Result<std::string> UploadByManifest(Progress& progress, const BuiltPackage& package);
  bool ServerHas(const std::string& sha256) const;
  Result<BuiltPackage> Build(const BuildOrder& order);
  // An image's digest stands for a package's.
  Result<BuiltPackage> FindImage(const std::string& name);
  Result<void> DeployLayer(const LayerPlan& layer);
  void Note(std::string kind, std::string name, std::string what, std::string detail = {});

  // deploy_function.cc
  Result<void> DeployFunction(const FunctionPlan& function);
  Result<void> Create(const FunctionPlan& function, const BuiltPackage& package);
  Result<void> Update(const FunctionPlan& function, const BuiltPackage& package,
                      const boost::json::value& current);
  Result<void> WaitUntilReady(const std::string& name);
  Result<void> TakeWarnings(const std::string& name);  // of its package

  // deploy_extras.cc
  Result<void> DeployTags(const FunctionPlan& function, const boost::json::value& current);
  Result<void> DeployConcurrency(const FunctionPlan& function, const boost::json::value& current);
  Result<void> DeployEventInvoke(const FunctionPlan& function);
  Result<void> DeployVersion(const FunctionPlan& function);
  Result<void> DeployAlias(const FunctionPlan& function, const AliasPlan& alias,
                           const std::string& version);
  Result<void> DeployProvisioned(const FunctionPlan& function, const AliasPlan& alias);
  Result<void> DeployUrl(const FunctionPlan& function);
  Result<void> DeployPermissions(const FunctionPlan& function);

  const ApiClient& client_;
  const BuildContext& context_;
  std::vector<Change> changes_;
  std::vector<std::string> warnings_;
  std::map<std::string, std::string> known_;
  std::vector<std::string> old_layer_versions_;  // API paths, to be deleted at the end
};

// The members of `wanted` that differ from a FunctionConfiguration as the API gives it, ready for
// UpdateFunctionConfiguration; what `wanted` leaves out counts as Lambda's default, unless
// `partial`.
boost::json::object ConfigurationChanges(const boost::json::object& wanted,
                                         const boost::json::value& current, bool partial);
// The same members as they are now, to go back to.
boost::json::object ConfigurationAsItIs(const boost::json::object& changes,
                                        const boost::json::value& current);

}  // namespace samovar
