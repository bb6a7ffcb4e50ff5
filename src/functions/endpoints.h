#pragma once
// Endpoints: SageMaker's models, endpoint configurations and endpoints, mapped onto functions.
//
// Why      Code written for SageMaker runs against functions: a model is a function's version or
//          alias, an endpoint's production variant calls one model, by weight.
// How      A model names a function in PrimaryContainer.Image, or a package in ModelDataUrl
//          (s3://samovar-uploads/SHA256), of which a function of the model's name is made. New
//          variants are made ready (EndpointOptions::warm) before an endpoint turns to them; what
//          serves meanwhile goes on, and keeps serving where they cannot be made ready. What is
//          acknowledged is on disk; after a restart, what was under way goes on.
// Errors   ValidationException with SageMaker's wording; ResourceNotFound for tags.
// Threads  The event loop only; disk work goes to the pool.
// Source   botocore data/sagemaker/2017-07-24/service-2.json; recorded wordings of AWS.

#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "base/blocking.h"
#include "base/clock.h"
#include "functions/endpoint_records.h"
#include "functions/keyed_mutex.h"
#include "functions/registry.h"
#include "store/kv_store.h"

namespace samovar {

struct EndpointOptions {
  std::string region = "us-east-1";
  std::string account_id = "000000000000";
  // Starts and warms up what a variant calls; returns when its first call finds it ready.
  std::function<Task<Result<void>>(std::string function, std::string qualifier)> warm;
  std::function<double()> random;  // in [0, 1); the default is a generator of its own
};

// Where a call of an endpoint goes.
struct EndpointTarget {
  std::string variant;
  std::string function;
  std::string qualifier;
};

class Endpoints {
 public:
  Endpoints(EndpointOptions options, Registry& registry, KvStore& kv, BlockingPool& pool,
            Executor loop, const Clock& clock);

  // Reads the store and goes on with what was under way.
  Result<void> Load();

  // An operation by its name in the service model; the input was checked against it.
  Task<Result<boost::json::object>> Execute(std::string operation, boost::json::object input);

  // A variant by weight, or the one that is named. An endpoint that was never created is the
  // function of its name, under the variant AllTraffic.
  Result<EndpointTarget> Pick(std::string_view endpoint, std::string_view target_variant);
  Error MissingEndpoint(std::string_view endpoint) const;  // as the runtime API words it

 private:
  using Object = boost::json::object;
  using Answer = Task<Result<Object>>;
  using Operation = Answer (Endpoints::*)(Object);
  template <class T>
  using ByName = std::map<std::string, std::shared_ptr<const T>, std::less<>>;

  static const std::map<std::string_view, Operation>& Operations();

  // endpoints.cc
  std::string Arn(EndpointKind kind, std::string_view name) const;
  Error Missing(EndpointKind kind, std::string_view name) const;
  Error Existing(EndpointKind kind, std::string_view name) const;
  Task<Result<void>> Write(std::string key, std::optional<std::string> document);
  template <class T>
  Task<Result<void>> Store(EndpointKind kind, ByName<T>& map, std::shared_ptr<const T> record);
  template <class T>
  Answer Delete(EndpointKind kind, ByName<T>& map, std::string name);
  template <class T>
  Task<Result<Tags>> ChangeTags(EndpointKind kind, ByName<T>& map, std::string name,
                                std::function<Result<void>(Tags&)> edit);
  Task<Result<Tags>> EditTags(Object input, std::function<Result<void>(Tags&)> edit);
  Answer AddTags(Object input);
  Answer ListTags(Object input);
  Answer DeleteTags(Object input);

  // endpoint_models.cc
  struct Behind {
    std::string function, qualifier;
  };
  Task<Result<Behind>> FunctionOfImage(std::string image);
  Task<Result<Behind>> FunctionOfPackage(std::string name, Object container, std::string role);
  Answer CreateModel(Object input);
  Answer DescribeModel(Object input);
  Answer ListModels(Object input);
  Answer DeleteModel(Object input);

  // endpoint_configs.cc
  Answer CreateEndpointConfig(Object input);
  Answer DescribeEndpointConfig(Object input);
  Answer ListEndpointConfigs(Object input);
  Answer DeleteEndpointConfig(Object input);

  // endpoint_life.cc
  Result<std::vector<EndpointVariant>> VariantsOf(std::string_view config) const;
  Answer CreateEndpoint(Object input);
  Answer UpdateEndpoint(Object input);
  Answer UpdateEndpointWeightsAndCapacities(Object input);
  Answer DescribeEndpoint(Object input);
  Answer ListEndpoints(Object input);
  Answer DeleteEndpoint(Object input);
  void StartTurn(const std::string& name);
  static Task<> Turn(std::weak_ptr<Endpoints*> alive, std::string name);
  Task<Result<void>> MakeReady(std::vector<EndpointVariant> variants);
  // The qualifiers that a call may be led to: two where an alias has two versions.
  Task<std::vector<std::string>> LeadsTo(std::string function, std::string qualifier);

  const EndpointOptions options_;
  Registry& registry_;
  KvStore& kv_;
  BlockingPool& pool_;
  const Executor loop_;
  const Clock& clock_;
  std::mt19937_64 generator_;

  ByName<ModelRecord> models_;
  ByName<ConfigRecord> configs_;
  ByName<EndpointRecord> endpoints_;
  KeyedMutex changing_;  // "model/NAME" and so on
  std::shared_ptr<Endpoints*> alive_;
};

}  // namespace samovar
