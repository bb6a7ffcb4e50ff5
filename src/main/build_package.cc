#include "main/build_package.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "main/build_dependencies.h"
#include "main/build_steps.h"
#include "main/guess.h"
#include "main/install_python.h"
#include "main/progress.h"
#include "main/python_requirements.h"
#include "wire/sigv4.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

bool HoldsFile(const fs::path& folder, const char* name) {
  std::error_code error;
  return fs::is_regular_file(folder / name, error);
}

Result<Interpreter> FindInterpreter(const BuildContext& context, const std::string& runtime) {
  const auto found = context.runtimes.find(runtime);
  if (found != context.runtimes.end()) return found->second;
  std::string names;
  for (const auto& [name, interpreter] : context.runtimes) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return Fail(Code::kInvalid,
              fmt::format("the server has no runtime {}; it has: {} (see `samovar runtimes`)",
                          runtime, names.empty() ? "none" : names));
}

// What makes the whole package: make where the template says so, and for a program of one's own
// that is not there yet, what its folder is built with. Null where the folder is the package.
using BuildTool = Result<std::string> (*)(const BuildContext&, const std::string&,
                                          const std::string&, std::string&);
BuildTool ToolOf(const BuildOrder& order, const std::string& folder) {
  const std::string& method = order.code.build_method;
  if (method == "makefile") return RunMake;
  if (method == "cmake") return RunCMake;
  if (method == "cargo" || method == "rust-cargolambda") return RunCargo;
  const bool own = method.empty() && !order.layer && order.runtime.starts_with("provided");
  if (!own || HoldsFile(folder, "bootstrap")) return nullptr;
  if (HoldsFile(folder, "Cargo.toml")) return RunCargo;
  if (HoldsFile(folder, "CMakeLists.txt")) return RunCMake;
  return HoldsFile(folder, "Makefile") ? RunMake : nullptr;
}

// The folders that make up the package.
Result<std::vector<ZipRoot>> Roots(const BuildContext& context, const BuildOrder& order,
                                   const std::string& folder, std::string& note) {
  const std::string& method = order.code.build_method;
  if (const auto tool = ToolOf(order, folder)) {
    TRY(std::string artifacts, tool(context, order.id, folder, note));
    return std::vector<ZipRoot>{{.folder = artifacts, .prefix = "", .filter = false}};
  }
  // A layer is built only when its template says so; a function whenever it asks for something.
  const bool build = method != "none" && (!order.layer || !method.empty());
  const std::string runtime = order.layer ? method : order.runtime;
  std::vector<ZipRoot> roots;
  std::string prefix;
  if (build && runtime.starts_with("python") && !PythonDependencyFile(folder).empty()) {
    if (order.layer) prefix = "python/";
    TRY(Interpreter python, FindInterpreter(context, runtime));
    TRY(std::string made, InstallPython(context, order.id, folder, python, note));
    roots.push_back({.folder = made, .prefix = prefix, .filter = false});
  } else if (build && runtime.starts_with("nodejs") && HoldsFile(folder, "package.json") &&
             HasNodeDependencies(ReadIfThere(fs::path(folder) / "package.json")) &&
             !fs::exists(fs::path(folder) / "node_modules")) {
    if (order.layer) prefix = "nodejs/";
    TRY(Interpreter node, FindInterpreter(context, runtime));
    TRY(std::string made, InstallNode(context, order.id, folder, node, note));
    roots.push_back({.folder = made, .prefix = prefix, .filter = false});
  }
  roots.push_back({.folder = folder, .prefix = prefix, .filter = true});
  return roots;
}

// "FINGERPRINT SHA256 SIZE" of the last package of this id.
struct Remembered {
  std::string fingerprint;
  std::string sha256;
  std::uint64_t size = 0;
};
Remembered Recall(const fs::path& file) {
  Remembered out;
  std::istringstream in(ReadIfThere(file));
  in >> out.fingerprint >> out.sha256 >> out.size;
  return out;
}

Result<void> MakeBuildFolder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Fail(Code::kInvalid, fmt::format("{}: {}", folder, error.message()));
  const fs::path ignore = fs::path(folder) / ".gitignore";
  if (!fs::exists(ignore, error)) std::ofstream(ignore) << "*\n";
  return {};
}

Result<BuiltPackage> Pack(const BuildContext& context, const BuildOrder& order,
                          const std::vector<ZipRoot>& roots, const PackageKnown& known,
                          std::string note) {
  TRY(FolderListing listing, ListFolders(roots));
  if (listing.entries.empty()) {
    return Fail(Code::kInvalid,
                fmt::format("{}: nothing to package in {}", order.id, roots.back().folder));
  }
  const fs::path base = fs::path(context.build_folder) / order.id;
  const fs::path memory = base.string() + ".package";
  const fs::path zip = base.string() + ".zip";
  const Remembered last = Recall(memory);
  if (last.fingerprint == listing.fingerprint && known(last.sha256)) {
    return BuiltPackage{.file = "", .sha256 = last.sha256, .size = last.size, .note = note};
  }
  Progress progress(context.terminal, context.clock, fmt::format("{}: packaging", order.id));
  const auto on_progress = [&](std::uint64_t done) { progress.Bytes(done, listing.total); };
  BuiltPackage built{.file = zip, .sha256 = "", .size = 0, .note = std::move(note)};
  if (context.manifests) {
    TRY(built.manifest, WriteManifest(listing, base, on_progress));
    built.file = built.manifest->file;
    built.sha256 = built.manifest->sha256;
    built.size = built.manifest->size;
  } else {
    TRY(const ZipResult written, WriteZip(listing, zip, on_progress));
    built.sha256 = written.sha256;
    built.size = written.size;
  }
  progress.Done(fmt::format("{}: packaged {} {}, {}", order.id, listing.entries.size(),
                            listing.entries.size() == 1 ? "file" : "files", HumanSize(built.size)));
  // Files that changed while they were read must not be remembered under the older fingerprint.
  TRY(FolderListing again, ListFolders(roots));
  if (again.fingerprint == listing.fingerprint) {
    std::ofstream(memory) << fmt::format("{} {} {}\n", listing.fingerprint, built.sha256,
                                         built.size);
  }
  return built;
}

// Inline code becomes one file, named as Lambda names it.
Result<std::string> InlineFolder(const BuildContext& context, const BuildOrder& order) {
  const fs::path folder = fs::path(context.build_folder) / (order.id + ".inline");
  std::error_code error;
  fs::create_directories(folder, error);
  const bool node = order.runtime.starts_with("nodejs");
  const fs::path file = folder / (node ? "index.js" : "index.py");
  if (ReadIfThere(file) != order.code.inline_text) std::ofstream(file) << order.code.inline_text;
  if (error) return Fail(Code::kInvalid, folder.string() + ": " + error.message());
  return folder.string();
}

}  // namespace

Result<BuiltPackage> BuildPackage(const BuildContext& context, const BuildOrder& order,
                                  const PackageKnown& known) {
  if (order.code.kind == CodeSource::Kind::kUploaded) {
    return BuiltPackage{.file = "", .sha256 = order.code.key, .size = 0, .note = ""};
  }
  TRY(MakeBuildFolder(context.build_folder));
  if (order.code.kind == CodeSource::Kind::kInline) {
    TRY(std::string folder, InlineFolder(context, order));
    return Pack(context, order, {{.folder = folder, .prefix = "", .filter = true}}, known, "");
  }
  const fs::path path = (fs::path(context.project) / order.code.path).lexically_normal();
  std::error_code error;
  if (fs::is_regular_file(path, error)) {
    if (path.extension() == ".zip" || path.extension() == ".jar") {
      TRY(ZipResult hashed, HashFile(path));
      return BuiltPackage{.file = path, .sha256 = hashed.sha256, .size = hashed.size, .note = ""};
    }
    std::vector<std::string> files{path.filename()};
    if (IsModelFile(path)) {
      TRY(const auto companions, ModelCompanions(path));
      files.insert(files.end(), companions.begin(), companions.end());
    }
    std::vector<ZipRoot> roots;
    for (const std::string& file : files) {
      roots.push_back(
          {.folder = path.parent_path(), .prefix = "", .filter = false, .only_file = file});
    }
    return Pack(context, order, roots, known, "");
  }
  if (!fs::is_directory(path, error)) {
    return Fail(Code::kInvalid, fmt::format("{}: no folder or zip at {}", order.id, path.string()));
  }
  std::string note;
  TRY(std::vector<ZipRoot> roots, Roots(context, order, path, note));
  return Pack(context, order, roots, known, note);
}

}  // namespace samovar
