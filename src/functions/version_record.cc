#include "functions/version_record.h"

#include "base/ids.h"
#include "functions/collection_access.h"
#include "functions/input.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxTags = 50;
constexpr std::string_view kReason = "The function is being created.";

void NewRevisions(VersionRecord& version, std::string now) {
  version.revision_id = NewUuid();
  version.instance_revision = NewUuid();
  version.last_modified = std::move(now);
  version.runnable = nullptr;
}

}  // namespace

void SetCode(VersionRecord& version, const PackageInfo& package) {
  version.package = package.hash;
  version.config["CodeSha256"] = package.sha256_b64;
  version.config["CodeSize"] = package.size.count;
}

void BeginPending(VersionRecord& version, std::string now) {
  NewRevisions(version, std::move(now));
  version.state = "Pending";
  version.state_reason = kReason;
  version.state_reason_code = "Creating";
  version.update_status.clear();
  version.update_reason.clear();
  version.update_reason_code.clear();
}

void BeginUpdate(VersionRecord& version, std::string now) {
  NewRevisions(version, std::move(now));
  version.update_status = "InProgress";
  version.update_reason = kReason;
  version.update_reason_code = "Creating";
}

void SetActive(VersionRecord& version) {
  version.state = "Active";
  version.state_reason.clear();
  version.state_reason_code.clear();
  version.update_status = "Successful";
  version.update_reason.clear();
  version.update_reason_code.clear();
}

std::string_view ReasonCode(const Error& error) {
  if (!error.reason.empty()) return error.reason;
  return error.code == Code::kInvalid || error.code == Code::kTooLarge ? "InvalidConfiguration"
                                                                       : "InternalError";
}

void SetFailed(VersionRecord& version, const Error& error, std::string_view reason_code) {
  version.state = "Failed";
  version.state_reason = error.message;
  version.state_reason_code = reason_code;
}

std::vector<std::string> PackagesOf(const VersionRecord& version) {
  if (!version.image.empty()) return {};
  std::vector<std::string> hashes{version.package};
  for (const auto& layer : version.layers) hashes.push_back(layer.package);
  return hashes;
}

// Directories of the packages, in order. Blocks.
Result<std::vector<std::string>> UnpackAll(PackageStore& packages,
                                           const std::vector<std::string>& hashes) {
  std::vector<std::string> dirs;
  for (const auto& hash : hashes) {
    TRY(auto dir, packages.Unpack(hash));
    dirs.push_back(std::move(dir));
  }
  return dirs;
}

VersionRecord PublishedCopy(const VersionRecord& latest, std::uint64_t number,
                            std::string_view description) {
  auto version = latest;
  version.number = std::to_string(number);
  version.source_description = TextOf(latest.config, "Description");
  version.config["Description"] = description;
  version.revision_id = NewUuid();
  version.instance_revision = NewUuid();
  version.runnable = nullptr;
  return version;
}

VersionRecordPtr Touched(const VersionRecord& version) {
  auto copy = std::make_shared<VersionRecord>(version);
  copy->revision_id = NewUuid();
  return copy;
}

Result<std::map<std::string, std::string>> TagsOf(const json::object& input) {
  std::map<std::string, std::string> tags;
  if (const auto* given = ObjectOf(input, "Tags")) {
    for (const auto& [key, value] : *given) {
      if (value.is_string()) tags[key] = value.get_string();
    }
  }
  if (tags.size() > kMaxTags) {
    return InvalidParameter("Number of tags exceeds resource tag limit.");
  }
  if (const auto named = tags.find(std::string(kCollectionsTag)); named != tags.end()) {
    const auto access = ParseCollectionAccess(named->second);
    if (!access) return InvalidParameter(access.error().message);
  }
  return tags;
}

json::object DescribeTags(const FunctionRecord& function) {
  json::object tags;
  for (const auto& [key, value] : function.tags) tags[key] = value;
  return tags;
}

}  // namespace samovar
