#include "main/build_dependencies.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>

#include "main/build_steps.h"
#include "wire/sigv4.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

// An empty folder for what a build leaves behind.
Result<fs::path> FreshFolder(const BuildContext& context, const std::string& name) {
  const fs::path folder = fs::path(context.build_folder) / name;
  std::error_code error;
  fs::remove_all(folder, error);
  fs::create_directories(folder, error);
  if (error) return Fail(Code::kInvalid, folder.string() + ": " + error.message());
  return folder;
}

// Puts the program `found` into `artifacts` as the bootstrap that it becomes.
Result<std::string> TakeBootstrap(const std::string& id, const fs::path& found,
                                  const fs::path& artifacts) {
  std::error_code error;
  if (!fs::is_regular_file(found, error)) {
    return Fail(Code::kInvalid,
                fmt::format("{}: it was built, and made no program {}; name it bootstrap", id,
                            found.string()));
  }
  fs::copy_file(found, artifacts / "bootstrap", fs::copy_options::overwrite_existing, error);
  if (error) return Fail(Code::kInvalid, found.string() + ": " + error.message());
  return artifacts.string();
}

}  // namespace

Result<std::string> InstallNode(const BuildContext& context, const std::string& id,
                                const std::string& code_folder, const Interpreter& node,
                                std::string& note) {
  const fs::path code(code_folder);
  const std::string lock = ReadIfThere(code / "package-lock.json");
  const std::string key = Sha256Hex(fmt::format("node 1\n{}\n{}\n{}\n{}", node.version,
                                                ReadIfThere(code / "package.json"), lock,
                                                ReadIfThere(code / ".npmrc")));
  const fs::path folder = fs::path(context.build_folder) / (id + ".node");
  const auto install = [&](const fs::path& staging) -> Result<void> {
    std::error_code error;
    for (const char* name : {"package.json", "package-lock.json", ".npmrc"}) {
      if (fs::exists(code / name, error)) fs::copy_file(code / name, staging / name, error);
      if (error) return Fail(Code::kInvalid, (code / name).string() + ": " + error.message());
    }
    const char* path = std::getenv("PATH");
    const std::string search = fs::path(node.path).parent_path().string() + ":" +
                               (path == nullptr ? "/usr/bin:/bin" : path);
    const ChildCall npm{.argv = {"npm", lock.empty() ? "install" : "ci", "--omit=dev", "--no-audit",
                                 "--no-fund", "--no-update-notifier"},
                        .folder = staging,
                        .environment = {{"PATH", search}}};
    return RunTool(context,
                   fmt::format("{}: npm installs package.json for Node.js {}", id, node.version),
                   npm);
  };
  TRY(bool installed, Cached(folder, key, install));
  note = installed ? "installed package.json" : "";
  return folder.string();
}

Result<std::string> RunMake(const BuildContext& context, const std::string& id,
                            const std::string& code_folder, std::string& note) {
  TRY(const fs::path folder, FreshFolder(context, id + ".make"));
  const ChildCall make{.argv = {"make", "--no-print-directory", "build-" + id},
                       .folder = code_folder,
                       .environment = {{"ARTIFACTS_DIR", folder}},
                       .in_place = true};
  TRY(RunTool(context, fmt::format("{}: make build-{}", id, id), make));
  note = "built by make";
  return folder.string();
}

Result<std::string> RunCMake(const BuildContext& context, const std::string& id,
                             const std::string& code_folder, std::string& note) {
  TRY(const fs::path artifacts, FreshFolder(context, id + ".artifacts"));
  // Kept, so that only what changed is compiled again.
  const fs::path build = fs::path(context.build_folder) / (id + ".cmake");
  TRY(RunTool(context, id + ": cmake configures",
              {.argv = {"cmake", "-S", code_folder, "-B", build, "-DCMAKE_BUILD_TYPE=Release"},
               .folder = code_folder,
               .environment = {}}));
  TRY(RunTool(context, id + ": cmake builds",
              {.argv = {"cmake", "--build", build, "--parallel"},
               .folder = code_folder,
               .environment = {}}));
  note = "built by cmake";
  return TakeBootstrap(id, build / "bootstrap", artifacts);
}

Result<std::string> RunCargo(const BuildContext& context, const std::string& id,
                             const std::string& code_folder, std::string& note) {
  TRY(const fs::path artifacts, FreshFolder(context, id + ".artifacts"));
  const fs::path target = fs::path(context.build_folder) / (id + ".cargo");
  std::vector<std::string> argv = {"cargo",     "build",        "--release", "--bin",
                                   "bootstrap", "--target-dir", target};
  std::error_code ignored;
  if (fs::exists(fs::path(code_folder) / "Cargo.lock", ignored)) argv.emplace_back("--locked");
  TRY(RunTool(context, id + ": cargo builds",
              {.argv = std::move(argv),
               .folder = code_folder,
               .environment = {{"CARGO_TERM_COLOR", "never"}},
               .in_place = true}));
  note = "built by cargo";
  return TakeBootstrap(id, target / "release/bootstrap", artifacts);
}

bool HasNodeDependencies(const std::string& package_json) {
  boost::system::error_code bad;
  const boost::json::value value = boost::json::parse(package_json, bad);
  if (bad || !value.is_object()) return false;
  const boost::json::value* found = value.as_object().if_contains("dependencies");
  return found != nullptr && found->is_object() && !found->as_object().empty();
}

}  // namespace samovar
