// Which packages are in use, and by whom.

#include <fmt/format.h>

#include "functions/lambda_registry.h"
#include "functions/version_record.h"

namespace samovar {

std::map<std::string, std::vector<std::string>> LambdaRegistry::PackageUsers() {
  std::erase_if(retired_, [](const RetiredVersion& retired) { return retired.version.expired(); });
  std::map<std::string, std::vector<std::string>> users;
  const auto add = [&](const VersionRecordPtr& version, const std::string& name) {
    if (!version) return;
    for (auto& hash : PackagesOf(*version)) {
      auto& names = users[std::move(hash)];
      if (names.empty() || names.back() != name) names.push_back(name);
    }
  };
  for (const auto& [name, function] : functions_) {
    add(function->latest, name);
    add(function->serving, name);
    for (const auto& [number, version] : function->versions) {
      add(version, fmt::format("{}:{}", name, number));
    }
  }
  for (const auto& [name, layer] : layers_) {
    for (const auto& [number, version] : layer->versions) {
      users[version.package].push_back(fmt::format("layer {}:{}", name, number));
    }
  }
  for (const auto& retired : retired_) {
    const auto version = retired.version.lock();
    if (!version) continue;
    for (const auto& hash : retired.packages) {
      users[hash].push_back(version->function + " (until its instances end)");
    }
  }
  return users;
}

std::set<std::string> LambdaRegistry::UsedPackages() {
  std::set<std::string> used;
  for (const auto& [hash, names] : PackageUsers()) used.insert(hash);
  const auto add = [&](const VersionRecordPtr& version) {  // digests of images
    if (version && !version->image.empty()) used.insert(version->image);
  };
  for (const auto& [name, function] : functions_) {
    add(function->latest);
    add(function->serving);
    for (const auto& [number, version] : function->versions) add(version);
  }
  return used;
}

}  // namespace samovar
