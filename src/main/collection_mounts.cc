#include "main/collection_mounts.h"

#include <filesystem>

#include "functions/collection_access.h"

namespace samovar {

namespace {

constexpr const char* kAll = "/var/samovar/collections";
constexpr const char* kSome = "/var/samovar/collection/";

}  // namespace

Result<void> MountCollections(SandboxSpec& spec, const Version& version, const std::string& live,
                              bool all) {
  if (!version.collections && !all) return {};
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
    const std::string folder = live + "/" + one.name;
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
