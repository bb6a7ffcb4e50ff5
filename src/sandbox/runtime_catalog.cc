#include "sandbox/runtime_catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "os/run_program.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kAskTimeout{10};
constexpr std::string_view kAskPython =
    "import os,sys;print('%d.%d.%d'%sys.version_info[:3],"
    "os.path.realpath(getattr(sys,'_base_executable',None) or sys.executable),"
    "os.path.realpath(sys.base_prefix),sys.implementation.name,sep='\\n')";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool Digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsPythonName(std::string_view name) {
  return name == "python3" || (name.starts_with("python3.") && Digits(name.substr(8)));
}

bool IsNodeName(std::string_view name) { return name == "node" || name == "nodejs"; }

// Programs of a folder whose names fit, sorted, so that the order of a disk does not matter.
std::vector<std::string> ProgramsIn(const fs::path& folder, bool (*fits)(std::string_view)) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (fits(entry.path().filename().string())) found.push_back(entry.path().string());
  }
  std::ranges::sort(found);
  return found;
}

// bin folders of installed versions: ROOT/versions/*/bin.
std::vector<std::string> VersionFolders(const fs::path& versions) {
  std::vector<std::string> folders;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(versions, ignored)) {
    folders.push_back((entry.path() / "bin").string());
  }
  std::ranges::sort(folders);
  return folders;
}

// Where to look, in order: configured, PATH with shims replaced by what they stand for, the rest.
std::vector<std::string> Folders(const std::vector<std::string>& configured,
                                 const std::string& path, const std::vector<fs::path>& versions) {
  std::vector<std::string> folders = configured;
  for (const std::string& folder : Split(path, ':')) {
    const fs::path here(folder);
    // pyenv's shims are scripts that choose a version by the folder one stands in.
    if (here.filename() == "shims" && fs::is_directory(here.parent_path() / "versions")) {
      for (auto& real : VersionFolders(here.parent_path() / "versions")) folders.push_back(real);
    } else {
      folders.push_back(folder);
    }
  }
  for (const fs::path& root : versions) {
    for (auto& real : VersionFolders(root)) folders.push_back(real);
  }
  for (const char* usual : {"/usr/local/bin", "/usr/bin"}) folders.emplace_back(usual);
  return folders;
}

// Every distinct program, in order.
std::vector<std::string> Candidates(const std::vector<std::string>& folders,
                                    bool (*fits)(std::string_view)) {
  std::vector<std::string> programs;
  std::set<std::string> seen;
  std::error_code ignored;
  for (const std::string& folder : folders) {
    // A configured path may be an interpreter itself; a folder on PATH need not exist.
    auto here = fs::is_regular_file(folder, ignored) ? std::vector<std::string>{folder}
                                                     : ProgramsIn(folder, fits);
    for (const std::string& program : here) {
      const std::string real = fs::canonical(program, ignored).string();
      // A virtual environment's interpreter is a link to the real one, which is what counts.
      if (real.empty() ? seen.insert(program).second : seen.insert(real).second) {
        programs.push_back(real.empty() ? program : real);
      }
    }
  }
  return programs;
}

// What lies under /usr (without /usr/local) every sandbox sees.
std::vector<std::string> MountsFor(const std::string& prefix) {
  const bool common =
      prefix == "/usr" || (prefix.starts_with("/usr/") && !prefix.starts_with("/usr/local"));
  return common ? std::vector<std::string>{} : std::vector<std::string>{prefix};
}

Result<Runtime> AskPython(const std::string& program) {
  TRY(const std::string said,
      RunProgram({program, "-I", "-c", std::string(kAskPython)}, kAskTimeout));
  const std::vector<std::string> lines = Split(said, '\n');
  if (lines.size() != 4) return Fail(Code::kUnavailable, "it does not say its version");
  if (lines[3] != "cpython") return Fail(Code::kUnsupported, lines[3] + " is not CPython");
  if (CompareVersions(lines[0], "3.9.0") < 0) {
    return Fail(Code::kUnsupported, "Python " + lines[0] + " is older than 3.9");
  }
  const std::string minor = lines[0].substr(0, lines[0].rfind('.'));
  return Runtime{Runtime::Kind::kPython, "python" + minor, lines[0], lines[1], MountsFor(lines[2])};
}

// The model worker of ours says which ONNX Runtime it runs models with.
Result<Runtime> AskOnnx(const std::string& program) {
  TRY(const std::string said, RunProgram({program, "--version"}, kAskTimeout));
  const std::vector<std::string> words = Split(said, '\n');
  if (words.size() != 1) return Fail(Code::kUnavailable, "it does not say its version");
  return Runtime{Runtime::Kind::kOnnx, "onnx", words[0], program, {}};
}

// A Node.js of its own folder needs that; one that lies among others' programs needs itself only.
std::string NodeFolder(const fs::path& program) {
  const fs::path prefix = program.parent_path().parent_path();
  std::error_code ignored;
  const bool own = fs::exists(prefix / "include/node", ignored) ||
                   fs::exists(prefix / "lib/node_modules", ignored);
  return own ? prefix.string() : program.parent_path().string();
}

Result<Runtime> AskNode(const std::string& program) {
  TRY(const std::string said, RunProgram({program, "--version"}, kAskTimeout));
  const std::vector<std::string> lines = Split(said, '\n');
  if (lines.empty() || !lines[0].starts_with("v")) {
    return Fail(Code::kUnavailable, "it does not say its version");
  }
  const std::string version = lines[0].substr(1);
  if (CompareVersions(version, "20.0.0") < 0) {
    return Fail(Code::kUnsupported, "Node.js " + version + " is older than 20");
  }
  const std::string major = version.substr(0, version.find('.'));
  return Runtime{Runtime::Kind::kNode, "nodejs" + major + ".x", version, program,
                 MountsFor(NodeFolder(program))};
}

}  // namespace

int CompareVersions(std::string_view a, std::string_view b) {
  const auto left = Split(a, '.');
  const auto right = Split(b, '.');
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    auto number = [i](const std::vector<std::string>& parts) {
      int value = 0;
      if (i < parts.size()) {
        std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), value);
      }
      return value;
    };
    if (number(left) != number(right)) return number(left) < number(right) ? -1 : 1;
  }
  return 0;
}

RuntimeCatalog RuntimeCatalog::Discover(const RuntimeSearch& search) {
  RuntimeCatalog catalog;
  const std::string path = search.path.empty() ? Environment("PATH") : search.path;
  const fs::path home = search.home.empty() ? Environment("HOME") : search.home;

  auto add = [&catalog](const std::string& program, Result<Runtime> asked) {
    if (!asked) {
      catalog.unusable_.push_back({program, asked.error().message});
      return;
    }
    auto same = std::ranges::find(catalog.runtimes_, asked->name, &Runtime::name);
    if (same == catalog.runtimes_.end()) {
      catalog.runtimes_.push_back(std::move(*asked));
    } else if (CompareVersions(asked->version, same->version) > 0) {
      *same = std::move(*asked);
    }
  };
  for (const std::string& program :
       Candidates(Folders(search.python_paths, path, {home / ".pyenv/versions"}), IsPythonName)) {
    add(program, AskPython(program));
  }
  for (const std::string& program :
       Candidates(Folders(search.node_paths, path, {home / ".nvm/versions/node"}), IsNodeName)) {
    add(program, AskNode(program));
  }
  const fs::path worker = fs::path(search.runtimes_dir) / "onnx/samovar-onnx";
  std::error_code ignored;
  if (!search.runtimes_dir.empty() && fs::exists(worker, ignored)) {
    add(worker.string(), AskOnnx(worker.string()));
  }
  for (const char* name : {"provided", "provided.al2", "provided.al2023"}) {
    catalog.runtimes_.push_back({Runtime::Kind::kProvided, name, "", "", {}});
  }
  std::ranges::sort(catalog.runtimes_, [](const Runtime& a, const Runtime& b) {
    if (a.kind != b.kind) return a.kind < b.kind;
    const int order = CompareVersions(a.version, b.version);
    return order != 0 ? order < 0 : a.name < b.name;
  });
  return catalog;
}

Result<Runtime> RuntimeCatalog::Find(std::string_view name) const {
  auto found = std::ranges::find(runtimes_, name, &Runtime::name);
  if (found != runtimes_.end()) return *found;
  if (name == "image") return Runtime{Runtime::Kind::kImage, "image", "", "", {}};
  std::vector<std::string> names;
  for (const Runtime& runtime : runtimes_) names.push_back(runtime.name);
  return Fail(Code::kInvalid,
              fmt::format("this host has no {}; it has {}. Install it, or name its folder in "
                          "runtimes.python_paths or runtimes.node_paths",
                          name, fmt::join(names, ", ")));
}

}  // namespace samovar
