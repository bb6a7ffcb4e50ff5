#include "main/collection_mounts.h"

#include <filesystem>

#include "functions/collection_access.h"

namespace samovar {

namespace {

constexpr const char* kAll = "/var/samovar/collections";
constexpr const char* kSome = "/var/samovar/collection/";

constexpr const char* kDoor = "/var/samovar/door";

// Python has our library, and models read no collections.
bool MapsThem(const Version& version) {
  return version.runtime.starts_with("python") || version.runtime == "onnx";
}

Result<void> MountDoor(SandboxSpec& spec, const Version& version, const CollectionRights& rights,
                       CollectionDoors& doors) {
  const std::string key = version.function + " " + version.collections.value_or("");
  TRY(auto lease, doors.Enter(key, rights));
  spec.mounts.push_back({std::move(lease.folder), kDoor, {}});
  spec.env.push_back(std::string("SAMOVAR_COLLECTIONS_DOOR=") + kDoor + "/door");
  spec.keep = std::move(lease.keep);
  return {};
}

}  // namespace

Result<void> MountCollections(SandboxSpec& spec, const Version& version, const std::string& live,
                              bool all, CollectionDoors& doors) {
  TRY(const auto rights, CollectionRights::Of(version.collections, all));
  if (!rights.Any()) return {};
  if (version.collections || !MapsThem(version)) {
    TRY(MountDoor(spec, version, rights, doors));
  }
  if (!version.collections) {
    spec.mounts.push_back({live, kAll, {}});
    spec.env.push_back(std::string("SAMOVAR_COLLECTIONS=") + kAll);
    return {};
  }
  TRY(const auto access, ParseCollectionAccess(*version.collections));
  std::string names;
  std::string folders;
  for (std::size_t i = 0; i < access.size(); ++i) {
    const auto& one = access[i];
    const std::string folder = live + "/" + one.Stored();
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return Fail(Code::kUnavailable, "make " + folder + ": " + error.message());
    const std::string inside = kSome + std::to_string(i);
    spec.mounts.push_back({folder, inside, {}});
    names += (i == 0 ? "" : ":") + one.name;
    folders += (i == 0 ? "" : ":") + inside;
  }
  spec.env.push_back("SAMOVAR_COLLECTION_NAMES=" + names);
  spec.env.push_back("SAMOVAR_COLLECTIONS=" + folders);
  return {};
}

}  // namespace samovar
