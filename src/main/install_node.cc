// InstallNode (build_dependencies.h): what package.json asks for, installed by npm.
//
// How      A lock whose packages all have hashes and none an install script is installed without
//          running any code of theirs, once for all projects with the same files (shared_trees.h);
//          anything else for this project alone, with caches of its own.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "main/build_dependencies.h"
#include "main/build_steps.h"
#include "main/shared_trees.h"
#include "wire/sigv4.h"

namespace samovar {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr const char* kFiles[] = {"package.json", "package-lock.json", ".npmrc"};

json::object ParseObject(const std::string& text) {
  boost::system::error_code bad;
  const json::value value = json::parse(text, bad);
  return !bad && value.is_object() ? value.as_object() : json::object();
}

const json::object* Member(const json::object& of, const char* name) {
  const auto* found = of.if_contains(name);
  return found != nullptr ? found->if_object() : nullptr;
}

std::string_view Text(const json::object& of, const char* name) {
  const auto* found = of.if_contains(name);
  return found != nullptr && found->is_string() ? std::string_view(found->as_string()) : "";
}

// npm runs these of the project itself.
bool HasScripts(const json::object& package) {
  const auto* scripts = Member(package, "scripts");
  if (scripts == nullptr) return false;
  return std::ranges::any_of(
      std::initializer_list<const char*>{"preinstall", "install", "postinstall", "prepublish",
                                         "preprepare", "prepare", "postprepare"},
      [&](const char* name) { return scripts->contains(name); });
}

// Whether npm's settings are about where packages come from, and none about programs to run.
bool IsAboutRegistries(const std::string& npmrc) {
  std::istringstream lines(npmrc);
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find_first_not_of(" \t\r");
    if (first == line.npos || line[first] == '#' || line[first] == ';') continue;
    const auto key = line.substr(first, line.find_first_of("= \t\r", first) - first);
    const bool known = key.ends_with("registry") || key.starts_with("//") || key == "cafile" ||
                       key == "ca" || key == "strict-ssl" || key == "always-auth" ||
                       key == "save-exact" || key == "engine-strict" || key == "legacy-peer-deps";
    if (!known) return false;
  }
  return true;
}

// Whether the lock names every file by its hash, and none of them runs as it is installed.
bool RunsNothing(const json::object& lock) {
  const auto* packages = Member(lock, "packages");  // versions 2 and 3 of the format
  if (packages == nullptr) return false;
  for (const auto& [path, value] : *packages) {
    if (path.empty()) continue;  // the project
    const auto* package = value.if_object();
    if (package == nullptr || package->contains("hasInstallScript") || package->contains("link") ||
        !Text(*package, "resolved").starts_with("http") || Text(*package, "integrity").empty()) {
      return false;
    }
  }
  return true;
}

struct Job {
  const BuildContext& context;
  const std::string& id;
  fs::path code;
  const Interpreter& node;
  bool locked;
};

Result<void> Install(const Job& job, const fs::path& staging, bool scripts) {
  std::error_code error;
  for (const char* name : kFiles) {
    if (fs::exists(job.code / name, error)) fs::copy_file(job.code / name, staging / name, error);
    if (error) return Fail(Code::kInvalid, (job.code / name).string() + ": " + error.message());
  }
  const char* path = std::getenv("PATH");
  const std::string search = fs::path(job.node.path).parent_path().string() + ":" +
                             (path == nullptr ? "/usr/bin:/bin" : path);
  ChildCall npm{.argv = {"npm", job.locked ? "ci" : "install", "--omit=dev", "--no-audit",
                         "--no-fund", "--no-update-notifier"},
                .folder = staging,
                .environment = {{"PATH", search}},
                .writable = {staging},
                .runs_code = scripts};
  if (!scripts) npm.argv.emplace_back("--ignore-scripts");
  TRY(RunTool(job.context,
              fmt::format("{}: npm installs package.json for Node.js {}", job.id, job.node.version),
              npm));
  fs::remove(staging / ".npmrc", error);  // it may hold passwords, and nothing reads it there
  return {};
}

}  // namespace

Result<std::string> InstallNode(const BuildContext& context, const std::string& id,
                                const std::string& code_folder, const Interpreter& node,
                                std::string& note) {
  const fs::path code(code_folder);
  const std::string package = ReadIfThere(code / "package.json");
  const std::string lock = ReadIfThere(code / "package-lock.json");
  const std::string npmrc = ReadIfThere(code / ".npmrc");
  const std::string key = Sha256Hex(fmt::format("node 2\n{}\n{}\n{}\n{}\n{}", node.version,
                                                PlatformText(), package, lock, npmrc));
  const Job job{.context = context, .id = id, .code = code, .node = node, .locked = !lock.empty()};
  if (job.locked && context.sandbox && RunsNothing(ParseObject(lock)) &&
      !HasScripts(ParseObject(package)) && IsAboutRegistries(npmrc)) {
    std::string place = FindSharedTree(key);
    if (place.empty()) {
      TRY(place, MakeSharedTree(key, [&](const fs::path& staging) -> Result<bool> {
            TRY(Install(job, staging, false));
            note = "installed package.json";
            return true;
          }));
    }
    if (!place.empty()) return place;
  }
  const fs::path folder = fs::path(context.build_folder) / (id + ".node");
  TRY(const bool installed,
      Cached(folder, key, [&](const fs::path& staging) { return Install(job, staging, true); }));
  note = installed ? "installed package.json" : "";
  return folder.string();
}

bool HasNodeDependencies(const std::string& package_json) {
  const auto package = ParseObject(package_json);
  const auto* found = Member(package, "dependencies");
  return found != nullptr && !found->empty();
}

}  // namespace samovar
