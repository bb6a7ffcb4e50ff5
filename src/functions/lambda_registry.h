#pragma once
// LambdaRegistry: the Registry's one implementation; its operations are spread over the .cc files
// by topic.
//
// How      Readers look at published records and never wait. A change of one function (or layer)
//          holds that name's KeyedMutex, edits a copy, writes what differs in one batch and then
//          publishes the copy (Store). What only publishing can tell is derived there: function
//          URLs, retired instances, waiters, packages that may be collected.
//          Background work (unpacking, collecting) holds `alive_` and stops when it is gone.
// Threads  The event loop only.

#include <boost/json/array.hpp>
#include <random>
#include <set>
#include <string_view>
#include <unordered_map>

#include "functions/keyed_mutex.h"
#include "functions/records.h"
#include "functions/registry.h"

namespace samovar {

class LambdaRegistry final : public Registry {
 public:
  LambdaRegistry(RegistryOptions options, KvStore& kv, PackageStore& packages, BlockingPool& pool,
                 Executor loop, const Clock& clock);
  ~LambdaRegistry() override;
  Result<void> Load();

  Task<Result<boost::json::object>> Execute(std::string operation,
                                            boost::json::object input) override;
  Task<Result<Resolved>> Resolve(std::string name, std::string qualifier) override;
  AsyncPolicy AsyncPolicyOf(const std::string& function, const std::string& qualifier) override;
  std::optional<FunctionUrl> FindUrl(const std::string& url_id) override;
  bool PolicyAllowsAll(const std::string& function, const std::string& qualifier,
                       std::string_view action) override;
  void OnRetired(std::function<void(const std::string& version_key)> callback) override;
  int ReservedTotal() const override { return reserved_total_; }
  std::vector<ProvisionedTarget> Provisioned() const override;
  void OnProvisionedChanged(std::function<void()> callback) override;
  std::vector<std::string> Warnings(const std::string& name,
                                    const std::string& qualifier) const override;
  std::string CodeDir(const std::string& name, const std::string& qualifier) const override;
  void CollectSoon() override { ScheduleCollect(options_.collect_delay); }
  std::map<std::string, std::vector<std::string>> Pins() const override;
  std::vector<std::string> Names() const override;
  std::map<std::string, std::vector<std::string>> PackageUsers() override;

 private:
  using Object = boost::json::object;
  using Answer = Task<Result<Object>>;
  using Operation = Answer (LambdaRegistry::*)(Object);
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  template <class T>
  using ByName = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

  // What a request names: FunctionName and Qualifier, agreed with each other.
  struct Target {
    std::string name;
    std::string qualifier;  // "" where none was given
  };
  struct Found {
    FunctionPtr function;
    VersionRecordPtr version;
  };
  using Edit = std::function<Result<Object>(FunctionRecord&)>;
  using LayerEdit = std::function<Result<Object>(LayerRecord&)>;

  static const std::unordered_map<std::string_view, Operation>& Operations();

  // registry.cc
  Result<Target> TargetOf(const Object& input) const;
  Result<Target> ParseTarget(std::string_view name, std::string_view qualifier) const;
  FunctionPtr Find(std::string_view name) const;  // null where there is none
  Error MissingFunction(std::string_view name, std::string_view qualifier = {}) const;
  Result<Found> FindVersion(const Target& target) const;
  Result<Object> Describe(const FunctionRecord& function, const VersionRecord& version,
                          std::string_view qualifier) const;
  std::string Now() const;

  // changes.cc
  Answer Change(std::string name, Error missing, Edit edit);
  Task<Result<void>> BeforeTurn(std::string name, std::string alias_name,
                                boost::json::object input);
  Answer ChangeLayer(std::string name, LayerEdit edit);
  Task<Result<void>> Store(FunctionPtr before, FunctionPtr after);  // either may be null
  static WriteBatch Differences(const FunctionPtr& before, const FunctionPtr& after);
  void Publish(const FunctionPtr& before, const FunctionPtr& after);
  void Retire(const FunctionPtr& before, const FunctionPtr& after);
  Task<Result<void>> Write(WriteBatch batch);
  void Wake(const std::string& name);

  // activate.cc
  using SettleEdit = std::function<bool(LambdaRegistry&, FunctionRecord&)>;
  static void LogEscape(std::exception_ptr failed);
  static Task<> Settle(std::weak_ptr<LambdaRegistry*> alive, std::string name, SettleEdit edit);
  void StartActivation(const std::string& name);
  static Task<> Activate(std::weak_ptr<LambdaRegistry*> alive, std::string name);
  void FinishActivation(FunctionRecord& function, const Result<std::vector<std::string>>& dirs,
                        const std::vector<std::string>& warnings);
  static Task<Result<std::vector<std::string>>> Examine(std::weak_ptr<LambdaRegistry*> alive,
                                                        VersionPtr version, std::string tag);
  void ScheduleCollect(std::chrono::milliseconds delay);
  static Task<> CollectLater(std::weak_ptr<LambdaRegistry*> alive,
                             std::shared_ptr<LoopTimer> timer);
  std::set<std::string> UsedPackages();
  Result<void> LoadRunnable(FunctionRecord& function);

  // snap_start.cc
  bool NeedsPreparing(const VersionRecord& version) const;
  void StartPreparing(const std::string& name, std::uint64_t number);
  static Task<> Prepare(std::weak_ptr<LambdaRegistry*> alive, std::string name,
                        std::uint64_t number);
  static Task<std::optional<Error>> TryPrepare(std::weak_ptr<LambdaRegistry*> alive,
                                               VersionPtr version);
  VersionRecordPtr FindPreparing(const std::string& name, std::uint64_t number) const;
  bool FinishPreparing(FunctionRecord& function, const VersionRecord& begun,
                       const VersionPtr& runnable, const std::optional<Error>& error) const;
  void RetireUnpublished(const VersionRecord& record, const VersionPtr& version);

  // code.cc
  Task<Result<PackageInfo>> TakeCode(Object code);
  // Whether a model's package holds its model. Any other function's is none of this check's.
  Task<Result<void>> CheckModelCode(Object config, std::string hash);
  Result<std::vector<LayerUse>> TakeLayers(const Object& input) const;

  // functions_api.cc, update_api.cc, versions_api.cc
  Answer CreateFunction(Object input);
  Answer GetFunction(Object input);
  Answer GetFunctionConfiguration(Object input);
  Answer ListFunctions(Object input);
  Answer DeleteFunction(Object input);
  Answer DeleteVersion(Target target);
  Answer UpdateFunctionCode(Object input);
  Answer UpdateFunctionConfiguration(Object input);
  Answer PublishVersion(Object input);
  // Keeps what a tag samovar:collections wants pinned, for a version that is to be published.
  Task<Result<CollectionPins>> PinAll(std::optional<std::string> tag);
  Answer ListVersionsByFunction(Object input);

  // aliases.cc
  Answer CreateAlias(Object input);
  Answer GetAlias(Object input);
  Answer UpdateAlias(Object input);
  Answer DeleteAlias(Object input);
  Answer ListAliases(Object input);

  // policy.cc
  Answer AddPermission(Object input);
  Answer RemovePermission(Object input);
  Answer GetPolicy(Object input);
  Result<void> CheckPolicyTarget(const FunctionRecord& function, std::string_view qualifier) const;

  // tags.cc
  Result<std::string> TaggedFunction(const Object& input) const;
  Answer TagResource(Object input);
  Answer UntagResource(Object input);
  Answer ListTags(Object input);

  // concurrency.cc
  Answer PutFunctionConcurrency(Object input);
  Answer GetFunctionConcurrency(Object input);
  Answer DeleteFunctionConcurrency(Object input);
  Answer GetAccountSettings(Object input);
  int ReservedByOthers(std::string_view name) const;
  int MinimumUnreserved() const;
  int reserved_total_ = 0;  // of functions_, kept by Publish

  // provisioned.cc
  struct VersionShare {
    VersionRecordPtr version;
    int count = 0;
  };
  Error NoProvisionedTarget(const Target& target) const;
  Result<void> CheckProvisionedLimits(const FunctionRecord& function, const std::string& qualifier,
                                      int wanted) const;
  static Result<void> CheckProvisionedVersions(const FunctionRecord& function,
                                               const std::string& qualifier);
  static std::vector<VersionShare> SharesOf(const FunctionRecord& function,
                                            const std::string& qualifier);
  Object DescribeProvisioned(const FunctionRecord& function, const std::string& qualifier) const;
  Answer PutProvisionedConcurrencyConfig(Object input);
  Answer GetProvisionedConcurrencyConfig(Object input);
  Answer ListProvisionedConcurrencyConfigs(Object input);
  Answer DeleteProvisionedConcurrencyConfig(Object input);

  // url_config.cc
  Result<Target> UrlTarget(const Object& input) const;
  Object DescribeUrl(const FunctionRecord& function, const std::string& qualifier) const;
  Answer CreateFunctionUrlConfig(Object input);
  Answer GetFunctionUrlConfig(Object input);
  Answer UpdateFunctionUrlConfig(Object input);
  Answer DeleteFunctionUrlConfig(Object input);
  Answer ListFunctionUrlConfigs(Object input);

  // event_invoke.cc
  Result<void> CheckDestination(const Object& config, std::string_view own_name) const;
  Object DescribeEventInvoke(const FunctionRecord& function, const std::string& qualifier) const;
  Answer PutFunctionEventInvokeConfig(Object input);
  Answer UpdateFunctionEventInvokeConfig(Object input);
  Answer GetFunctionEventInvokeConfig(Object input);
  Answer DeleteFunctionEventInvokeConfig(Object input);
  Answer ListFunctionEventInvokeConfigs(Object input);

  // layers.cc, layer_policy.cc
  LayerPtr FindLayer(std::string_view name) const;
  Object DescribeLayer(const LayerRecord& layer, const LayerVersionRecord& version,
                       bool content) const;
  Answer PublishLayerVersion(Object input);
  Answer GetLayerVersion(Object input);
  Answer GetLayerVersionByArn(Object input);
  Answer ListLayers(Object input);
  Answer ListLayerVersions(Object input);
  Answer DeleteLayerVersion(Object input);
  Answer AddLayerVersionPermission(Object input);
  Answer RemoveLayerVersionPermission(Object input);
  Answer GetLayerVersionPolicy(Object input);

  // settings.cc, code_signing.cc
  Answer GetRuntimeManagementConfig(Object input);
  Answer PutRuntimeManagementConfig(Object input);
  Answer GetFunctionRecursionConfig(Object input);
  Answer PutFunctionRecursionConfig(Object input);
  Answer CreateCodeSigningConfig(Object input);
  Answer GetCodeSigningConfig(Object input);
  Answer UpdateCodeSigningConfig(Object input);
  Answer DeleteCodeSigningConfig(Object input);
  Answer ListCodeSigningConfigs(Object input);
  Answer PutFunctionCodeSigningConfig(Object input);
  Answer GetFunctionCodeSigningConfig(Object input);
  Answer DeleteFunctionCodeSigningConfig(Object input);
  Answer ListFunctionsByCodeSigningConfig(Object input);
  Result<void> CheckCodeSigningArn(std::string_view arn) const;

  const RegistryOptions options_;
  KvStore& kv_;
  PackageStore& packages_;
  BlockingPool& pool_;
  const Executor loop_;
  const Clock& clock_;
  std::mt19937_64 generator_;

  ByName<FunctionPtr> functions_;
  std::set<std::string, std::less<>> names_;
  ByName<LayerPtr> layers_;
  std::map<std::string, Object> code_signing_;  // by ARN
  std::unordered_map<std::string, std::pair<std::string, std::string>>
      urls_;  // id -> function, qualifier

  struct RetiredVersion {
    std::weak_ptr<const Version> version;
    std::vector<std::string> packages;
  };
  std::vector<RetiredVersion> retired_;  // may still have instances
  std::vector<std::function<void(const std::string&)>> on_retired_;
  std::vector<std::function<void()>> on_provisioned_;
  std::set<std::pair<std::string, std::uint64_t>> preparing_;  // function, version
  ByName<std::vector<std::shared_ptr<LoopTimer>>> waiters_;    // for a Pending function

  KeyedMutex changing_;                       // "f/NAME", "l/NAME", "account"
  std::shared_ptr<LoopTimer> collect_timer_;  // of the next collection
  bool collect_again_ = false;                // something more became unused meanwhile
  std::shared_ptr<LambdaRegistry*> alive_;
};

}  // namespace samovar
