#include "main/build_dependencies.h"

#include <fmt/format.h>

#include <filesystem>

#include "main/build_steps.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

Result<void> MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Fail(Code::kInvalid, folder.string() + ": " + error.message());
  return {};
}

// An empty folder for what a build leaves behind.
Result<fs::path> FreshFolder(const BuildContext& context, const std::string& name) {
  const fs::path folder = fs::path(context.build_folder) / name;
  std::error_code error;
  fs::remove_all(folder, error);
  TRY(MakeFolder(folder));
  return folder;
}

// Puts the program `name` that was built in a folder into `artifacts` as its bootstrap.
Result<std::string> TakeBootstrap(const std::string& id, const fs::path& built, const char* name,
                                  const fs::path& artifacts) {
  const fs::path found = built / name;
  std::error_code error;
  // The build could have put a link there, or in place of a folder, to what it may not read.
  const bool made = fs::symlink_status(found, error).type() == fs::file_type::regular &&
                    fs::canonical(found, error) == fs::canonical(built, error) / name;
  if (!made) {
    return Fail(Code::kInvalid,
                fmt::format("{}: it was built, and made no program {}; name it bootstrap", id,
                            found.string()));
  }
  fs::copy_file(found, artifacts / "bootstrap", fs::copy_options::overwrite_existing, error);
  if (error) return Fail(Code::kInvalid, found.string() + ": " + error.message());
  return artifacts.string();
}

}  // namespace

Result<std::string> RunMake(const BuildContext& context, const std::string& id,
                            const std::string& code_folder, std::string& note) {
  TRY(const fs::path folder, FreshFolder(context, id + ".make"));
  const ChildCall make{.argv = {"make", "--no-print-directory", "build-" + id},
                       .folder = code_folder,
                       .environment = {{"ARTIFACTS_DIR", folder}},
                       .in_place = true,
                       .writable = {folder}};
  TRY(RunTool(context, fmt::format("{}: make build-{}", id, id), make));
  note = "built by make";
  return folder.string();
}

Result<std::string> RunCMake(const BuildContext& context, const std::string& id,
                             const std::string& code_folder, std::string& note) {
  TRY(const fs::path artifacts, FreshFolder(context, id + ".artifacts"));
  // Kept, so that only what changed is compiled again.
  const fs::path build = fs::path(context.build_folder) / (id + ".cmake");
  TRY(MakeFolder(build));
  TRY(RunTool(context, id + ": cmake configures",
              {.argv = {"cmake", "-S", code_folder, "-B", build, "-DCMAKE_BUILD_TYPE=Release"},
               .folder = code_folder,
               .environment = {},
               .writable = {build}}));
  TRY(RunTool(context, id + ": cmake builds",
              {.argv = {"cmake", "--build", build, "--parallel"},
               .folder = code_folder,
               .environment = {},
               .writable = {build}}));
  note = "built by cmake";
  return TakeBootstrap(id, build, "bootstrap", artifacts);
}

Result<std::string> RunCargo(const BuildContext& context, const std::string& id,
                             const std::string& code_folder, std::string& note) {
  TRY(const fs::path artifacts, FreshFolder(context, id + ".artifacts"));
  const fs::path target = fs::path(context.build_folder) / (id + ".cargo");
  TRY(MakeFolder(target));
  std::vector<std::string> argv = {"cargo",     "build",        "--release", "--bin",
                                   "bootstrap", "--target-dir", target};
  std::error_code ignored;
  if (fs::exists(fs::path(code_folder) / "Cargo.lock", ignored)) argv.emplace_back("--locked");
  TRY(RunTool(context, id + ": cargo builds",
              {.argv = std::move(argv),
               .folder = code_folder,
               .environment = {{"CARGO_TERM_COLOR", "never"}},
               .in_place = true,
               .writable = {target}}));
  note = "built by cargo";
  return TakeBootstrap(id, target, "release/bootstrap", artifacts);
}

}  // namespace samovar
