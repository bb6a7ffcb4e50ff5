#pragma once
// The registry's records: what is on disk of a function, a layer and a code-signing configuration.
//
// How      A record is a value. A change copies it, edits the copy, writes what differs and only
//          then publishes it as a shared_ptr<const ...>; so a failed write changes nothing and a
//          reader never sees half a change. Published versions are shared between copies.
// Source   docs/formats/store.md.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "functions/collection_access.h"
#include "functions/version.h"

namespace samovar {

struct LayerUse {
  std::string arn;  // of the layer version
  std::uint64_t size = 0;
  std::string package;  // hash

  friend bool operator==(const LayerUse&, const LayerUse&) = default;
};

// The configuration and state of $LATEST or of one published version.
struct VersionRecord {
  std::string number = "$LATEST";
  boost::json::object config;    // Runtime, Handler, ...: members of FunctionConfiguration
  std::string package;           // hash
  std::string image, image_uri;  // digest (hex) of a container image, and as it was named
  std::vector<LayerUse> layers;
  std::string revision_id;        // RevisionId: changes with policies, tags and states too
  std::string instance_revision;  // Version::revision: changes when instances must be made anew
  std::string last_modified;
  std::string source_description;  // of $LATEST when this version was published

  std::string state = "Pending";  // Pending, Active, Failed
  std::string state_reason, state_reason_code;
  std::string update_status;  // "", InProgress, Successful, Failed
  std::string update_reason, update_reason_code;
  std::vector<std::string> warnings;  // what was doubtful in its package
  CollectionPins pins;                // generations that it keeps of collections

  VersionPtr runnable;  // when its code is unpacked; not stored
};
using VersionRecordPtr = std::shared_ptr<const VersionRecord>;

struct AliasRecord {
  std::string version;  // FunctionVersion
  std::string description;
  std::string revision_id;
  std::string second_version;  // "" for none
  double second_weight = 0;

  friend bool operator==(const AliasRecord&, const AliasRecord&) = default;
};

// A provisioned concurrency configuration.
struct ProvisionedRecord {
  int requested = 0;
  std::string last_modified;

  friend bool operator==(const ProvisionedRecord&, const ProvisionedRecord&) = default;
};

struct UrlRecord {
  std::string id;
  boost::json::object config;  // AuthType, InvokeMode, Cors, CreationTime, LastModifiedTime

  friend bool operator==(const UrlRecord&, const UrlRecord&) = default;
};

struct FunctionRecord {
  std::string name;
  VersionRecordPtr latest;
  VersionRecordPtr serving;  // answers while an update of `latest` is under way; else null
  std::map<std::uint64_t, VersionRecordPtr> versions;
  std::uint64_t next_version = 1;
  std::map<std::string, AliasRecord> aliases;
  std::map<std::string, std::string> tags;
  std::optional<int> reserved_concurrency;
  // By qualifier: "" for the function itself, a number or an alias. $LATEST in event_invoke.
  std::map<std::string, boost::json::array> policies;  // statements
  std::map<std::string, UrlRecord> urls;
  std::map<std::string, boost::json::object> event_invoke;
  std::map<std::string, boost::json::object> runtime_management;
  std::map<std::string, ProvisionedRecord> provisioned;
  std::string recursive_loop = "Terminate";
  std::string code_signing_arn;

  bool Egress() const;
  bool MayClone() const;                           // no tag samovar:clone = off
  std::optional<std::string> Collections() const;  // tag samovar:collections
  int HttpPort() const;                            // tag samovar:http; 0 where it has none
  std::string_view CheckTag() const;               // samovar:check: "off", "warn" or ""
  int ProvisionedTotal() const;
  // What it takes off the account's concurrency.
  int Claimed() const { return reserved_concurrency.value_or(ProvisionedTotal()); }
  const VersionRecord& Serving() const { return serving ? *serving : *latest; }
};
using FunctionPtr = std::shared_ptr<const FunctionRecord>;

struct LayerVersionRecord {
  std::uint64_t version = 0;
  std::string package;
  std::uint64_t size = 0;
  std::string sha256_b64;
  std::string created;
  boost::json::object about;      // Description, LicenseInfo, CompatibleRuntimes, ...Architectures
  boost::json::array statements;  // of its policy
  std::string policy_revision;
};

struct LayerRecord {
  std::string name;
  std::uint64_t next_version = 1;
  std::map<std::uint64_t, LayerVersionRecord> versions;
};
using LayerPtr = std::shared_ptr<const LayerRecord>;

// Documents, each with "format": 1. Reading one of a newer format is kInternal.
std::string WriteFunction(const FunctionRecord& record);
std::string WriteVersion(const VersionRecord& record);
std::string WriteLayer(const LayerRecord& record);
Result<FunctionRecord> ReadFunction(std::string_view document);
Result<VersionRecord> ReadVersion(std::string_view document);
Result<LayerRecord> ReadLayer(std::string_view document);

std::string FunctionKey(std::string_view name);
std::string VersionKey(std::string_view name, std::uint64_t number);
std::string LayerKey(std::string_view name);
std::string CodeSigningKey(std::string_view id);

}  // namespace samovar
