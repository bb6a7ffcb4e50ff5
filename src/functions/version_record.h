#pragma once
// Steps in the life of a VersionRecord and of tags, shared by the operations that make them.

#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "functions/records.h"
#include "store/package_store.h"

namespace samovar {

void SetCode(VersionRecord& version, const PackageInfo& package);

// A new function, or one whose creation failed: Pending until it is unpacked.
void BeginPending(VersionRecord& version, std::string now);
// An update of a function that serves: InProgress until the new one is unpacked.
void BeginUpdate(VersionRecord& version, std::string now);

void SetActive(VersionRecord& version);
// Why a package cannot be unpacked, as a StateReasonCode.
std::string_view ReasonCode(const Error& error);
void SetFailed(VersionRecord& version, const Error& error, std::string_view reason_code);

// Hashes of the code and, in order, the layers. Empty for a container image.
std::vector<std::string> PackagesOf(const VersionRecord& version);
// Directories of the packages, in order. Blocks.
Result<std::vector<std::string>> UnpackAll(PackageStore& packages,
                                           const std::vector<std::string>& hashes);

// Version `number`, as `latest` is now.
VersionRecord PublishedCopy(const VersionRecord& latest, std::uint64_t number,
                            std::string_view description);

// The same with a new RevisionId.
VersionRecordPtr Touched(const VersionRecord& version);

Result<std::map<std::string, std::string>> TagsOf(const boost::json::object& input);
boost::json::object DescribeTags(const FunctionRecord& function);

}  // namespace samovar
