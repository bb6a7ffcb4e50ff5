#pragma once
// Version: one function as it runs: a published version, or $LATEST as it was at some moment.
//
// Why      Instances are made from it and live as long as it does; so it never changes. An update
//          of $LATEST makes a new Version with a new `revision`; the old one drains.
// Threads  Immutable; shared as shared_ptr<const Version>.
// Source   Lambda's FunctionConfiguration (botocore, lambda/2015-03-31/service-2.json).

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace samovar {

inline constexpr const char* kImageRuntime = "image";  // no name that a user may give

// How a version runs that is a container image.
struct VersionImage {
  std::vector<std::string> folders;      // of its layers, lowest first
  std::vector<std::string> program;      // with its arguments
  std::vector<std::string> environment;  // NAME=value
  std::string working_folder;            // "" is /
  int http_port = 0;  // tag samovar:http: the program listens there; 0: it asks the Runtime API

  friend bool operator==(const VersionImage&, const VersionImage&) = default;
};

struct Version {
  std::string function;      // "my-function"
  std::string number;        // "$LATEST" or "7"
  std::string function_arn;  // unqualified
  std::string revision;      // RevisionId; changes with every update of code or configuration
  std::string runtime;       // "python3.11"; "image" of a container image
  std::string handler;       // "app.handler"
  std::chrono::seconds timeout{3};
  Bytes memory = Bytes::MiB(128);
  Bytes tmp_size = Bytes::MiB(512);
  std::map<std::string, std::string> environment;
  std::string code_dir;                       // unpacked package on the host, -> /var/task
  std::vector<std::string> layer_dirs;        // in order, later wins, -> /opt
  std::shared_ptr<const VersionImage> image;  // where that is the code; there is no code_dir then
  std::string log_group;                      // "/aws/lambda/my-function"
  std::string log_format = "Text";            // or "JSON"
  bool snap_start = false;                    // ApplyOn: PublishedVersions
  bool egress = false;                        // tag samovar:network = egress
  bool may_clone = true;                      // no tag samovar:clone = off
  std::optional<std::string> collections;     // tag samovar:collections, where it has one

  // Unique for code and configuration: instances of equal keys are interchangeable.
  std::string Key() const { return function + ":" + number + ":" + revision; }
  std::string Arn() const { return function_arn + ":" + number; }
};

using VersionPtr = std::shared_ptr<const Version>;

// What a name with a qualifier led to.
struct Resolved {
  VersionPtr version;
  std::string invoked_arn;  // as the caller named it: unqualified, :alias or :number
  std::optional<int> reserved_concurrency;  // of the function
  int provisioned_concurrency = 0;          // of the function, all its configurations together
};

}  // namespace samovar
