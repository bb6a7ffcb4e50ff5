#include "main/build_dependencies.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "main/child_process.h"
#include "main/progress.h"
#include "wire/sigv4.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLinesOfFailure = 25;

std::string ReadIfThere(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

Result<void> RunTool(const BuildContext& context, const std::string& label, const ChildCall& call) {
  Progress progress(context.terminal, context.clock, label);
  std::deque<std::string> last;
  TRY(int status, RunChild(call, [&](std::string_view line) {
        last.emplace_back(SafeText(line));
        if (last.size() > kLinesOfFailure) last.pop_front();
        progress.Note(std::string(line));
      }));
  if (status == 0) {
    progress.Done(label + ": done");
    return {};
  }
  std::string message = fmt::format("{} ended with status {}", call.argv[0], status);
  if (context.terminal.Interactive()) {  // elsewhere every line was printed already
    for (const std::string& line : last) message += "\n  " + line;
  }
  return Fail(Code::kInvalid, std::move(message));
}

// Makes `folder` by `make(staging)` unless it is there with the same key; appears whole or not at
// all. True when it was made now.
Result<bool> Cached(const fs::path& folder, const std::string& key,
                    const std::function<Result<void>(const fs::path& staging)>& make) {
  const fs::path stamp = folder.string() + ".key";
  std::error_code error;
  if (fs::is_directory(folder, error) && ReadIfThere(stamp) == key) return false;
  const fs::path staging = folder.string() + ".new";
  fs::remove(stamp, error);
  fs::remove_all(staging, error);
  fs::create_directories(staging, error);
  if (error) {
    return Fail(Code::kInvalid, fmt::format("{}: {}", staging.string(), error.message()));
  }
  TRY(make(staging));
  fs::remove_all(folder, error);
  fs::rename(staging, folder, error);
  if (error) return Fail(Code::kInvalid, fmt::format("{}: {}", folder.string(), error.message()));
  std::ofstream(stamp) << key;
  return true;
}

// requirements.txt and the files it includes ("-r", "-c") beside it.
std::string RequirementsText(const fs::path& file, int depth = 0) {
  const std::string text = ReadIfThere(file);
  std::string out = text;
  std::istringstream lines(text);
  for (std::string line; depth < 8 && std::getline(lines, line);) {
    std::istringstream words(line);
    std::string flag, name;
    words >> flag >> name;
    if (flag == "-r" || flag == "-c" || flag == "--requirement" || flag == "--constraint") {
      out += RequirementsText(file.parent_path() / name, depth + 1);
    }
  }
  return out;
}

}  // namespace

Result<std::string> InstallPython(const BuildContext& context, const std::string& id,
                                  const std::string& code_folder, const Interpreter& python,
                                  std::string& note) {
  const fs::path requirements = fs::path(code_folder) / "requirements.txt";
  const std::string key = Sha256Hex(fmt::format("python 1\n{}\n{}\n{}", python.path, python.version,
                                                RequirementsText(requirements)));
  const fs::path folder = fs::path(context.build_folder) / (id + ".python");
  const auto install = [&](const fs::path& staging) -> Result<void> {
    const ChildCall pip{
        .argv = {python.path, "-m", "pip", "install", "--no-input", "--disable-pip-version-check",
                 "--progress-bar", "off", "--no-compile", "--target", staging, "-r", requirements},
        .folder = code_folder,
        .environment = {{"PIP_ROOT_USER_ACTION", "ignore"}, {"PYTHONDONTWRITEBYTECODE", "1"}}};
    TRY(int no_pip, RunChild({.argv = {python.path, "-m", "pip", "--version"},
                              .folder = code_folder,
                              .environment = {}},
                             [](std::string_view) {}));
    if (no_pip != 0) {
      return Fail(Code::kInvalid,
                  fmt::format("{}: Python {} has no pip to install requirements.txt with; give it "
                              "one: {} -m ensurepip, or apt-get install python3-pip",
                              id, python.version, python.path));
    }
    TRY(RunTool(context,
                fmt::format("{}: pip installs requirements.txt for Python {}", id, python.version),
                pip));
    // Files for other Python versions in a package do not compile; that is no failure.
    const ChildCall compile{
        .argv = {python.path, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode",
                 "unchecked-hash", "-s", staging, "-p", "/var/task", staging},
        .folder = code_folder,
        .environment = {}};
    TRY(int status, RunChild(compile, [](std::string_view) {}));
    (void)status;
    return {};
  };
  TRY(bool installed, Cached(folder, key, install));
  note = installed ? "installed requirements.txt" : "";
  return folder.string();
}

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
  const fs::path folder = fs::path(context.build_folder) / (id + ".make");
  std::error_code error;
  fs::remove_all(folder, error);
  fs::create_directories(folder, error);
  if (error) return Fail(Code::kInvalid, folder.string() + ": " + error.message());
  const ChildCall make{.argv = {"make", "--no-print-directory", "build-" + id},
                       .folder = code_folder,
                       .environment = {{"ARTIFACTS_DIR", folder}}};
  TRY(RunTool(context, fmt::format("{}: make build-{}", id, id), make));
  note = "built by make";
  return folder.string();
}

bool HasNodeDependencies(const std::string& package_json) {
  boost::system::error_code bad;
  const boost::json::value value = boost::json::parse(package_json, bad);
  if (bad || !value.is_object()) return false;
  const boost::json::value* found = value.as_object().if_contains("dependencies");
  return found != nullptr && found->is_object() && !found->as_object().empty();
}

}  // namespace samovar
