#include "main/install_python.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "main/build_steps.h"
#include "main/python_requirements.h"
#include "main/shared_trees.h"
#include "wire/sigv4.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;
using Words = std::vector<std::string>;

// One installation under way.
struct Job {
  const BuildContext& context;
  const std::string& id;
  fs::path code;
  std::string file;  // "uv.lock"
  const Interpreter& python;
  std::string uv;  // the program, or ""
};

bool Runs(const fs::path& program) { return ::access(program.c_str(), X_OK) == 0; }

// $SAMOVAR_UV, the one that came with this program, or one on PATH.
std::string FindUv() {
  if (const char* chosen = std::getenv("SAMOVAR_UV")) return chosen;
  std::error_code ignored;
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& place : {here / "../lib/samovar/uv", here / "../uv/uv"}) {
    if (Runs(place)) return fs::weakly_canonical(place, ignored).string();
  }
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty() && Runs(fs::path(folder) / "uv")) return folder + "/uv";
  }
  return "";
}

// uv neither fetches interpreters nor links into its cache, whose files' times others change. pip's
// settings count where uv's own are not made.
Environment UvEnvironment() {
  Environment out = {{"UV_PYTHON_DOWNLOADS", "never"},
                     {"UV_LINK_MODE", "copy"},
                     {"UV_NO_PROGRESS", "1"},
                     {"NO_COLOR", "1"}};
  for (const auto& [ours, pips] : std::initializer_list<std::pair<const char*, const char*>>{
           {"UV_DEFAULT_INDEX", "PIP_INDEX_URL"},
           {"UV_INDEX", "PIP_EXTRA_INDEX_URL"},
           {"UV_FIND_LINKS", "PIP_FIND_LINKS"},
           {"SSL_CERT_FILE", "PIP_CERT"}}) {
    const char* value = std::getenv(pips);
    if (std::getenv(ours) == nullptr && value != nullptr) out.emplace_back(ours, value);
  }
  return out;
}

// uv has a flag for this and no variable.
bool PipHasNoIndex() { return std::getenv("PIP_NO_INDEX") != nullptr; }

// Which indexes requirements.txt itself names, as a lock made of it does not repeat them.
Words IndexWords(const fs::path& requirements) {
  Words out;
  bool no_index = PipHasNoIndex();
  std::istringstream lines(RequirementsText(requirements));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream parts(line);
    std::string flag, value;
    parts >> flag >> value;
    if (const auto equals = flag.find('='); flag.starts_with("--") && equals != flag.npos) {
      value = flag.substr(equals + 1);
      flag.resize(equals);
    }
    if (flag == "-i") flag = "--index-url";
    if (flag == "-f") flag = "--find-links";
    no_index = no_index || flag == "--no-index";
    if (flag == "--index-url" || flag == "--extra-index-url" || flag == "--find-links") {
      out.insert(out.end(), {flag, value});
    }
  }
  if (no_index) out.emplace_back("--no-index");
  return out;
}

// Folders that are installed from where they are: uv builds those in place.
bool HasLocalPaths(const Job& job) {
  if (job.file != "requirements.txt") {
    return ReadIfThere(job.code / "pyproject.toml").find("path = ") != std::string::npos;
  }
  std::istringstream lines(RequirementsText(job.code / job.file));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('.') || line.starts_with('/') || line.starts_with("-e") ||
        line.starts_with("--editable") || line.find("file:") != line.npos) {
      return true;
    }
  }
  return false;
}

// Paths elsewhere that requirements.txt names.
Words PathsElsewhere(const Job& job) {
  Words out;
  std::istringstream words(RequirementsText(job.code / "requirements.txt"));
  for (std::string word; words >> word;) {
    if (word.starts_with("file://")) word = word.substr(7);
    if (word.starts_with('/')) out.push_back(std::move(word));
  }
  return out;
}

ChildCall UvCall(const Job& job, Words words, std::vector<std::string> writable) {
  words.insert(words.begin(), job.uv);
  return {.argv = std::move(words),
          .folder = job.code,
          .environment = UvEnvironment(),
          .in_place = HasLocalPaths(job),
          .readable = PathsElsewhere(job),
          .writable = std::move(writable)};
}

std::string UvLabel(const Job& job, const std::string& what) {
  return fmt::format("{}: uv {} {}", job.id, what, job.file);
}

Result<void> MakeEmpty(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  fs::create_directories(folder, error);
  if (error) return Fail(Code::kInvalid, folder.string() + ": " + error.message());
  return {};
}

// Writes the lock of the code's file to `lock`, in a folder that holds nothing else. Versions that
// come as source alone may be run for what they say of themselves.
Result<void> Resolve(const Job& job, const fs::path& lock) {
  std::error_code error;
  if (job.file == "requirements.txt") {
    const std::string text = RequirementsText(job.code / job.file);
    if (IsHashed(text)) {
      std::ofstream(lock) << WithoutIncludes(text);
      return {};
    }
  }
  if (job.file == "pylock.toml") {
    fs::copy_file(job.code / job.file, lock, error);
    return error ? Fail(Code::kInvalid, lock.string() + ": " + error.message()) : Result<void>();
  }
  const auto uv = [&](const std::string& what, Words words) {
    return RunTool(job.context, UvLabel(job, what),
                   UvCall(job, std::move(words), {lock.parent_path()}));
  };
  if (job.file == "uv.lock") {
    return uv("reads", {"export", "--quiet", "--frozen", "--no-dev", "--no-emit-project",
                        "--no-header", "--no-annotate", "--format", "requirements-txt", "--python",
                        job.python.path, "--output-file", lock});
  }
  Words words = {"pip",
                 "compile",
                 "--quiet",
                 "--generate-hashes",
                 "--python",
                 job.python.path,
                 "--output-file",
                 lock,
                 "--no-header",
                 "--no-annotate",
                 job.file == "poetry.lock" ? "pyproject.toml" : job.file};
  if (PipHasNoIndex()) words.emplace_back("--no-index");
  if (job.file == "poetry.lock") {
    const std::string constraints = lock.string() + ".constraints";
    std::ofstream(constraints) << PoetryConstraints(ReadIfThere(job.code / job.file));
    words.insert(words.end(), {"--constraints", constraints});
  }
  return uv("resolves", std::move(words));
}

// Installs the lock into `target`; without `sources` only from wheels, which runs none of their
// code, and false where those do not do.
Result<bool> InstallLock(const Job& job, const fs::path& lock, const fs::path& target,
                         bool sources) {
  // A lock of ours is whole; that one is so is what pip asks of a list with hashes.
  const bool hashed =
      job.file == "requirements.txt" && IsHashed(RequirementsText(job.code / job.file));
  Words words = {"pip",
                 "install",
                 "--python",
                 job.python.path,
                 "--target",
                 target,
                 "-r",
                 lock,
                 hashed ? "--require-hashes" : "--no-deps"};
  if (!sources) words.emplace_back("--no-build");
  for (auto& word : IndexWords(job.code / "requirements.txt")) words.push_back(std::move(word));
  ChildCall call = UvCall(job, std::move(words), {target});
  call.runs_code = sources;
  if (sources) {
    TRY(RunTool(job.context, UvLabel(job, "installs"), call));
    return true;
  }
  call.in_place = false;
  return TryTool(job.context, UvLabel(job, "installs"), call, [](std::string_view line) {
    return line.contains("no-build") || line.contains("from source is disabled");
  });
}

Result<void> InstallByPip(const Job& job, const fs::path& staging) {
  TRY(int no_pip, RunChild({.argv = {job.python.path, "-m", "pip", "--version"},
                            .folder = job.code,
                            .environment = {}},
                           [](std::string_view) {}));
  if (no_pip != 0) {
    return Fail(Code::kInvalid,
                fmt::format("{}: Python {} has no pip to install requirements.txt with; give it "
                            "one: {} -m ensurepip, or apt-get install python3-pip",
                            job.id, job.python.version, job.python.path));
  }
  return RunTool(
      job.context,
      fmt::format("{}: pip installs requirements.txt for Python {}", job.id, job.python.version),
      {.argv = {job.python.path, "-m", "pip", "install", "--no-input",
                "--disable-pip-version-check", "--progress-bar", "off", "--no-compile", "--target",
                staging, "-r", job.code / "requirements.txt"},
       .folder = job.code,
       .environment = {{"PIP_ROOT_USER_ACTION", "ignore"}, {"PYTHONDONTWRITEBYTECODE", "1"}},
       .in_place = HasLocalPaths(job),
       .readable = PathsElsewhere(job),
       .writable = {staging}});
}

// -I: else Python would take modules of the folder that it runs in before its own. Files for other
// Python versions in a package do not compile; that is no failure.
Result<void> Compile(const Job& job, const fs::path& staging) {
  const ChildCall compile{
      .argv = {job.python.path, "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode",
               "unchecked-hash", "-s", staging, "-p", "/var/task", staging},
      .folder = job.code,
      .environment = {},
      .writable = {staging}};
  TRY(const ToolEnd end, RunInSandbox(job.context, compile, [](std::string_view) {}));
  if (end.bound.empty()) return {};
  return Fail(Code::kInvalid, fmt::format("{}: compiling {}: {}", job.id, job.file, end.bound));
}

// A build could have put a link there.
Result<void> KeepLock(const std::string& text, const fs::path& staging) {
  TRY(MakeEmpty(staging / fs::path(kLockFile).parent_path()));
  std::ofstream(staging / kLockFile) << text;
  return {};
}

// All that decides what a lock becomes, beside what stands in it.
std::string TreeKey(const Job& job, const std::string& lock) {
  std::string text = fmt::format("tree 1\n{}\n{}\n{}\n{}\n", job.python.path, job.python.version,
                                 PlatformText(), lock);
  for (const auto& word : IndexWords(job.code / "requirements.txt")) text += word + "\n";
  for (const auto& [name, value] : UvEnvironment()) text += name + "=" + value + "\n";
  for (const char* name : {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_CONFIG_FILE"}) {
    const char* value = std::getenv(name);
    text += fmt::format("{}={}\n", name, value == nullptr ? "" : value);
  }
  text += ReadIfThere(job.code / "uv.toml");
  const auto project = ReadIfThere(job.code / "pyproject.toml");
  if (project.contains("[tool.uv")) text += project;
  return Sha256Hex(text);
}

// Where the lock's tree is: one that all projects share, or "" where it must be the project's own.
Result<std::string> Shared(const Job& job, const fs::path& lock, const std::string& text,
                           std::string& note) {
  if (!job.context.sandbox || HasLocalPaths(job) || !IsWholeLock(text)) return "";
  const auto key = TreeKey(job, text);
  if (auto found = FindSharedTree(key); !found.empty()) {
    note = fmt::format("{} was installed before", job.file);
    return found;
  }
  return MakeSharedTree(key, [&](const fs::path& staging) -> Result<bool> {
    TRY(const bool installed, InstallLock(job, lock, staging, false));
    if (!installed) return false;
    TRY(Compile(job, staging));
    TRY(KeepLock(text, staging));
    note = "installed " + job.file;
    return true;
  });
}

// The folder, by uv: shared or `folder`, made anew.
Result<std::string> InstallByUv(const Job& job, const fs::path& folder, std::string& note) {
  const fs::path work = folder.string() + ".lock";
  TRY(MakeEmpty(work));
  // A pylock.toml is known by its name.
  const fs::path lock = work / (job.file == "pylock.toml" ? "pylock.toml" : "requirements.lock");
  TRY(Resolve(job, lock));
  const std::string text = ReadMade(lock);
  TRY(std::string shared, Shared(job, lock, text, note));
  std::error_code ignored;
  if (!shared.empty()) {
    fs::remove_all(folder, ignored);
    fs::remove_all(work, ignored);
    return shared;
  }
  const auto install = [&](const fs::path& staging) -> Result<void> {
    TRY(const bool installed, InstallLock(job, lock, staging, true));
    (void)installed;
    TRY(Compile(job, staging));
    return KeepLock(text, staging);
  };
  TRY(MakeWhole(folder, install));
  fs::remove_all(work, ignored);
  note = "installed " + job.file;
  return folder.string();
}

Result<std::string> Install(const Job& job, const fs::path& folder, std::string& note) {
  if (!job.uv.empty()) return InstallByUv(job, folder, note);
  if (job.file != "requirements.txt") {
    return Fail(Code::kInvalid,
                fmt::format("{}: {} needs uv, which is not on this machine: pip install uv, or "
                            "write a requirements.txt",
                            job.id, job.file));
  }
  TRY(MakeWhole(folder, [&](const fs::path& staging) -> Result<void> {
    TRY(InstallByPip(job, staging));
    return Compile(job, staging);
  }));
  note = "installed " + job.file;
  return folder.string();
}

}  // namespace

Result<std::string> InstallPython(const BuildContext& context, const std::string& id,
                                  const std::string& code_folder, const Interpreter& python,
                                  std::string& note) {
  const Job job{.context = context,
                .id = id,
                .code = code_folder,
                .file = PythonDependencyFile(code_folder),
                .python = python,
                .uv = FindUv()};
  const std::string key =
      Sha256Hex(fmt::format("python 3\n{}\n{}\n{}\n{}\n{}", python.path, python.version, job.file,
                            job.uv.empty() ? "pip" : "uv", InputText(job.code, job.file)));
  const fs::path folder = fs::path(context.build_folder) / (id + ".python");
  const fs::path memory = folder.string() + ".made";  // the key, and where it was installed
  std::istringstream last(ReadIfThere(memory));
  std::string last_key, place;
  std::getline(last, last_key);
  std::getline(last, place);
  std::error_code error;
  if (last_key == key && fs::is_directory(place, error)) {
    (void)FindSharedTree(fs::path(place).filename().string());  // counts as used
    return place;
  }
  fs::remove(memory, error);
  TRY(place, Install(job, folder, note));
  std::ofstream(memory) << key << "\n" << place << "\n";
  return place;
}

}  // namespace samovar
