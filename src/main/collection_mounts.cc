#include "main/collection_mounts.h"

#include <filesystem>

#include "functions/collection_access.h"

namespace samovar {

namespace {

constexpr const char* kInside = "/var/samovar/collections";

}  // namespace

Result<void> MountCollections(SandboxSpec& spec, const Version& version, const std::string& live,
                              bool all) {
  if (!version.collections && !all) return {};
  spec.env.push_back(std::string("SAMOVAR_COLLECTIONS=") + kInside);
  if (!version.collections) {
    spec.mounts.push_back({live, kInside, {}});
    return {};
  }
  TRY(const auto access, ParseCollectionAccess(*version.collections));
  for (const auto& one : access) {
    const std::string folder = live + "/" + one.name;
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return Fail(Code::kUnavailable, "make " + folder + ": " + error.message());
    spec.mounts.push_back({folder, std::string(kInside) + "/" + one.name, {}});
  }
  return {};
}

}  // namespace samovar
