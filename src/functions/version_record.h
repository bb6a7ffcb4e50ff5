#pragma once
// Steps in the life of a VersionRecord and of tags, shared by the operations that make them.

#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>

#include "functions/records.h"
#include "store/package_store.h"

namespace samovar {

void SetCode(VersionRecord& version, const PackageInfo& package);

// A new function, or one whose creation failed: Pending until it is unpacked.
void BeginPending(VersionRecord& version, std::string now);
// An update of a function that serves: InProgress until the new one is unpacked.
void BeginUpdate(VersionRecord& version, std::string now);

// Version `number`, as `latest` is now.
VersionRecord PublishedCopy(const VersionRecord& latest, std::uint64_t number,
                            std::string_view description);

// The same with a new RevisionId.
VersionRecordPtr Touched(const VersionRecord& version);

Result<std::map<std::string, std::string>> TagsOf(const boost::json::object& input);
boost::json::object DescribeTags(const FunctionRecord& function);

}  // namespace samovar
