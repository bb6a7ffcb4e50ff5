#pragma once
// What is on disk of SageMaker's objects: models, endpoint configurations, endpoints.
//
// How      A record is a value: a change edits a copy, writes it and then publishes it. What the
//          caller gave is kept as it came (`given`), so that Describe answers it back.
// Source   docs/formats/store.md.

#include <boost/json/object.hpp>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace samovar {

// "model", "endpoint-config", "endpoint", as ARNs have them.
enum class EndpointKind : char { kModel = 'm', kConfig = 'c', kEndpoint = 'e' };
std::string_view KindName(EndpointKind kind);   // "endpoint-config"
std::string_view KindWords(EndpointKind kind);  // "endpoint configuration"

using Tags = std::map<std::string, std::string>;

struct SageMakerRecord {
  std::string name;
  boost::json::object given;
  WallTime created;
  Tags tags;
};

struct ModelRecord : SageMakerRecord {
  std::string function;
  std::string qualifier;  // version or alias; "" is $LATEST, as it is when it is called
  std::string image;      // as given
};

using ConfigRecord = SageMakerRecord;

// One way that an endpoint's calls may go.
struct EndpointVariant {
  std::string name;
  std::string model;
  std::string image;
  std::string function;
  std::string qualifier;
  double weight = 1;
  int instances = 1;
  boost::json::object serverless;  // ServerlessConfig, or empty
};

struct EndpointRecord : SageMakerRecord {
  std::string status;  // Creating, InService, Updating, Failed
  std::string failure;
  WallTime modified;
  std::string config;                     // what it serves by
  std::vector<EndpointVariant> variants;  // that serve
  std::string next_config;                // what is made ready; "" where nothing is
  std::vector<EndpointVariant> next;
};

std::string EndpointRecordKey(EndpointKind kind, std::string_view name);
std::string WriteRecord(const ModelRecord& record);
std::string WriteRecord(const ConfigRecord& record);
std::string WriteRecord(const EndpointRecord& record);
Result<ModelRecord> ReadModelRecord(std::string_view document);
Result<ConfigRecord> ReadConfigRecord(std::string_view document);
Result<EndpointRecord> ReadEndpointRecord(std::string_view document);

// Seconds since 1970 with milliseconds, as SageMaker writes times.
double EpochSeconds(WallTime time);

}  // namespace samovar
