#pragma once
// Functions whose code is a container image (PackageType Image).
// Errors   InvalidParameterValueException, naming the field.
// Threads  Pure, but for looks at the image store, which do not block.
// Source   Lambda's ImageConfig: each of its members replaces the image's own.

#include <boost/json/object.hpp>
#include <memory>
#include <string_view>

#include "functions/records.h"
#include "functions/registry.h"

namespace samovar {

bool IsImage(const boost::json::object& config);

// Members that only one of the two package types may have; and ImageConfig, laid over `config`.
Result<void> ApplyImageConfig(const boost::json::object& input, boost::json::object& config);

// Makes the image that `code` names (ImageUri) the version's code.
Result<void> TakeImage(const boost::json::object& code, const RegistryOptions& options,
                       VersionRecord& version);
// Whether something is there to be run.
Result<void> CheckImage(const VersionRecord& version, const RegistryOptions& options);
// How it is run; null where the image is not there.
std::shared_ptr<const VersionImage> RunnableImage(const VersionRecord& version, int http_port,
                                                  const RegistryOptions& options);

// GetFunction's Code.
boost::json::object DescribeImageCode(const VersionRecord& version);

// The tag samovar:http: a program that listens for HTTP on that port. kInvalid for what is no port,
// and for what is no image.
Result<void> CheckHttpTag(const FunctionRecord& function);

}  // namespace samovar
