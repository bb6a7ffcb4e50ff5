#pragma once
// Registry: every function, version, alias, layer, policy and URL; Lambda's control plane.
//
// Why      One owner of what exists. What it acknowledged is on disk (one synced batch a change),
//          and the whole state is in memory too, so that Resolve() never waits.
// How      An operation is named as in botocore's service model ("CreateFunction"). Its input holds
//          the members by the model's names, wherever they travelled (path, query, header, body),
//          already checked against the model by src/wire. The output is the body of the answer.
//          Code that came in the request was streamed to a staging file before: the member ZipFile
//          is then replaced by `StagedPath` (Code.StagedPath, Content.StagedPath of a layer,
//          StagedPath of UpdateFunctionCode), and Code.S3Bucket "samovar-uploads" names an earlier
//          upload by its SHA-256 in S3Key.
// Errors   With Lambda's names and messages; a refused operation leaves everything as it was.
//          kUnsupported with the operation's name for those that are not answered yet.
// Threads  The event loop only; disk and CPU work goes to the pool.

#include <boost/json/object.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/blocking.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"
#include "functions/provisioned.h"
#include "functions/version.h"
#include "store/kv_store.h"
#include "store/package_store.h"

namespace samovar {

class ImageStore;

// What was found in a package before it may run.
struct Examination {
  std::string hopeless;               // why it cannot run, file and remedy named; "" where it may
  std::vector<std::string> warnings;  // what may go wrong
};

struct RegistryOptions {
  std::string region = "us-east-1";
  std::string account_id = "000000000000";
  std::string url_suffix =
      "localhost:4566";  // of function URLs: http://ID.lambda-url.REGION.SUFFIX/
  std::string endpoint = "http://localhost:4566";  // of Code.Location
  Bytes max_package = Bytes::GiB(10);              // said by GetAccountSettings
  Bytes max_unpacked = Bytes::GiB(10);
  int account_concurrency = 1000;
  // After a version was retired, how long until its package may be removed (where nothing else uses
  // it, no instance lives, and it is an hour old).
  std::chrono::milliseconds collect_delay{60'000};
  // Of functions that are container images; null: there are none.
  ImageStore* images = nullptr;
  // nullopt where the host can run `runtime`; else the reason, for people.
  std::function<std::optional<std::string>(std::string_view runtime)> missing_runtime;
  // Initialises a published version with SnapStart before it becomes Active; until then it is
  // Pending. An Error makes it Failed: kTimeout says FunctionError.InitTimeout, kTooLarge
  // FunctionError.InitResourceExhausted, kInvalid FunctionError, others InternalError, unless the
  // Error's `reason` names a StateReasonCode itself; kUnavailable and kOverloaded are tried again
  // first. A version that is gone by then is told to OnRetired. Where null, nothing is done.
  std::function<Task<Result<void>>(VersionPtr version)> prepare;
  // Before an alias turns from version `from` to version `to`, which it led nothing to until now.
  // An Error kInvalid says that `to` cannot serve: the alias then stays as it is. Where null,
  // nothing is done.
  std::function<Task<Result<void>>(VersionPtr from, VersionPtr to)> before_turn;
  // Looks at the unpacked package of a version before it becomes Active: a hopeless one makes it
  // (or its update) Failed. An Error, which is the examiner's own trouble, lets it pass. Where
  // null, nothing is looked at; the tag samovar:check = off or warn says so for one function.
  std::function<Task<Result<Examination>>(VersionPtr version)> examine;
  // How many provisioned instances a version (Version::Key) has; where null, none.
  std::function<ProvisionedStatus(const std::string& version_key)> provisioned_status;
  // Keeps the newest generation of a collection, for a version that is being published with the tag
  // samovar:collections = NAME:r@pinned; answers which. Where null, versions follow the newest.
  std::function<Task<Result<std::uint64_t>>(std::string collection)> pin;
  // In [0, 1), for an alias between two versions; the default is a generator of its own.
  std::function<double()> random;
};

// Where asynchronous invocations of a function go (event-invoke-config and DeadLetterConfig).
struct AsyncPolicy {
  int max_retries = 2;
  std::chrono::seconds max_age{21600};
  std::string on_success_arn;  // "" for none
  std::string on_failure_arn;
  std::string dead_letter_arn;
};

struct FunctionUrl {
  std::string function;
  std::string qualifier;   // alias, or "" for $LATEST
  bool iam = false;        // AuthType AWS_IAM
  bool streaming = false;  // InvokeMode RESPONSE_STREAM
  struct Cors {
    bool credentials = false;
    std::vector<std::string> allow_headers, allow_methods, allow_origins, expose_headers;
    std::optional<int> max_age;
  };
  std::optional<Cors> cors;
};

class Registry {
 public:
  virtual ~Registry() = default;

  virtual Task<Result<boost::json::object>> Execute(std::string operation,
                                                    boost::json::object input) = 0;

  // `name`: a name, partial ARN or ARN, perhaps with a qualifier of its own; `qualifier`: the
  // query's, or "". Picks by weight where an alias has two versions. Waits while the function is
  // Pending. Errors: ResourceNotFoundException (404) with the ARN asked for, and so on.
  virtual Task<Result<Resolved>> Resolve(std::string name, std::string qualifier) = 0;
  virtual AsyncPolicy AsyncPolicyOf(const std::string& function, const std::string& qualifier) = 0;
  virtual std::optional<FunctionUrl> FindUrl(const std::string& url_id) = 0;
  // Whether the function's resource policy lets everyone ("*") do `action`
  // ("lambda:InvokeFunctionUrl").
  virtual bool PolicyAllowsAll(const std::string& function, const std::string& qualifier,
                               std::string_view action) = 0;
  // Called on the loop when instances of a key (Version::Key) must not serve new calls any more.
  virtual void OnRetired(std::function<void(const std::string& version_key)> callback) = 0;
  // What all functions have reserved together; where one reserved nothing, what it has provisioned.
  // Cheap: asked at each admission.
  virtual int ReservedTotal() const { return 0; }
  // How many instances of each version provisioned concurrency wants ready: those above zero. An
  // alias between two versions splits by weight.
  virtual std::vector<ProvisionedTarget> Provisioned() const { return {}; }
  // Called on the loop when Provisioned() may answer otherwise than before.
  virtual void OnProvisionedChanged(std::function<void()> /*callback*/) {}
  // What was doubtful in the package of a version, a line each; empty for one that is not there.
  virtual std::vector<std::string> Warnings(const std::string& /*name*/,
                                            const std::string& /*qualifier*/) const {
    return {};
  }
  // Where the version's code is unpacked; "" for one that is not there or cannot run.
  virtual std::string CodeDir(const std::string& /*name*/, const std::string& /*qualifier*/) const {
    return {};
  }
  // Which packages (by hash) are in use, and by whom: "NAME", "NAME:7", "layer NAME:2".
  virtual std::map<std::string, std::vector<std::string>> PackageUsers() { return {}; }
  // Something may have become unused: what no version uses is removed in a while.
  virtual void CollectSoon() {}
  // Generations of collections that versions and tags name, as "films@123", and by whom:
  // "recommend:2", "recommend" for its tag.
  virtual std::map<std::string, std::vector<std::string>> Pins() const { return {}; }
  // Of all functions, sorted.
  virtual std::vector<std::string> Names() const = 0;
};

// Loads what `kv` holds; unfinished creations go on.
Result<std::unique_ptr<Registry>> OpenRegistry(RegistryOptions options, KvStore& kv,
                                               PackageStore& packages, BlockingPool& pool,
                                               Executor loop, const Clock& clock);

}  // namespace samovar
