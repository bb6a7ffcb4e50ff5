#include "main/install_python.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "main/build_steps.h"
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

// Whether requirements.txt is a lock itself: it names the only files that may be installed.
bool IsHashed(const std::string& requirements) {
  return requirements.find("--hash=") != requirements.npos;
}

// The same without its includes, which stand in it already.
std::string WithoutIncludes(const std::string& requirements) {
  std::string out;
  std::istringstream lines(requirements);
  for (std::string line; std::getline(lines, line);) {
    const bool include = line.starts_with("-r ") || line.starts_with("-c ") ||
                         line.starts_with("--requirement") || line.starts_with("--constraint");
    if (!include) out += line + "\n";
  }
  return out;
}

// Everything that decides what is installed.
std::string InputText(const fs::path& code, const std::string& file) {
  if (file == "requirements.txt") return RequirementsText(code / file);
  return ReadIfThere(code / "pyproject.toml") + "\n" + ReadIfThere(code / file);
}

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

Result<void> Uv(const Job& job, const std::string& what, Words words) {
  words.insert(words.begin(), job.uv);
  return RunTool(job.context, fmt::format("{}: uv {} {}", job.id, what, job.file),
                 {.argv = std::move(words),
                  .folder = job.code,
                  .environment = UvEnvironment(),
                  .in_place = HasLocalPaths(job),
                  .readable = PathsElsewhere(job)});
}

// Writes the lock of the code's file to `lock`.
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
  if (job.file == "uv.lock") {
    return Uv(job, "reads",
              {"export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-header",
               "--no-annotate", "--format", "requirements-txt", "--python", job.python.path,
               "--output-file", lock});
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
    const auto resolved = Uv(job, "resolves", std::move(words));
    fs::remove(constraints, error);
    return resolved;
  }
  return Uv(job, "resolves", std::move(words));
}

Result<void> InstallByUv(const Job& job, const fs::path& staging) {
  std::error_code error;
  // A pylock.toml is known by its name.
  const fs::path folder = staging / fs::path(kLockFile).parent_path();
  fs::create_directories(folder, error);
  if (error) return Fail(Code::kInvalid, folder.string() + ": " + error.message());
  const bool pylock = job.file == "pylock.toml";
  const fs::path lock = pylock ? folder / "pylock.toml" : staging / kLockFile;
  TRY(Resolve(job, lock));
  // A lock of ours is whole; that one is so is what pip asks of a list with hashes.
  const bool hashed =
      job.file == "requirements.txt" && IsHashed(RequirementsText(job.code / job.file));
  Words words = {"pip",
                 "install",
                 "--python",
                 job.python.path,
                 "--target",
                 staging,
                 "-r",
                 lock,
                 hashed ? "--require-hashes" : "--no-deps"};
  for (auto& word : IndexWords(job.code / "requirements.txt")) words.push_back(std::move(word));
  TRY(Uv(job, "installs", std::move(words)));
  if (pylock) fs::rename(lock, staging / kLockFile, error);
  return {};
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
       .readable = PathsElsewhere(job)});
}

Result<void> Install(const Job& job, const fs::path& staging) {
  if (job.uv.empty() && job.file != "requirements.txt") {
    return Fail(Code::kInvalid,
                fmt::format("{}: {} needs uv, which is not on this machine: pip install uv, or "
                            "write a requirements.txt",
                            job.id, job.file));
  }
  TRY(job.uv.empty() ? InstallByPip(job, staging) : InstallByUv(job, staging));
  // Files for other Python versions in a package do not compile; that is no failure.
  const ChildCall compile{
      .argv = {job.python.path, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode",
               "unchecked-hash", "-s", staging, "-p", "/var/task", staging},
      .folder = job.code,
      .environment = {}};
  TRY(int status, RunInSandbox(job.context, compile, [](std::string_view) {}));
  (void)status;
  return {};
}

bool NamesDependencies(const std::string& pyproject) {
  return pyproject.find("[project]") != pyproject.npos ||
         pyproject.find("[tool.poetry.dependencies]") != pyproject.npos;
}

}  // namespace

std::string PythonDependencyFile(const std::string& code_folder) {
  const fs::path code(code_folder);
  std::error_code ignored;
  const bool project = fs::is_regular_file(code / "pyproject.toml", ignored);
  for (const char* name : {"requirements.txt", "uv.lock", "pylock.toml", "poetry.lock"}) {
    const bool alone =
        std::string_view(name) == "requirements.txt" || std::string_view(name) == "pylock.toml";
    if (fs::is_regular_file(code / name, ignored) && (alone || project)) return name;
  }
  return project && NamesDependencies(ReadIfThere(code / "pyproject.toml")) ? "pyproject.toml" : "";
}

std::string PoetryConstraints(std::string_view lock) {
  // Poetry writes one member a line; a package's name and version come before all else of it.
  std::string out, name;
  bool package = false;
  std::istringstream lines{std::string(lock)};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('[')) {
      package = line == "[[package]]";
      name.clear();
    }
    const auto quoted = [&](std::string_view key) -> std::string {
      if (!package || !line.starts_with(key)) return "";
      const auto from = line.find('"'), to = line.rfind('"');
      return from < to ? line.substr(from + 1, to - from - 1) : "";
    };
    if (auto found = quoted("name = "); !found.empty()) name = std::move(found);
    if (auto version = quoted("version = "); !version.empty() && !name.empty()) {
      out += name + "==" + version + "\n";
    }
  }
  return out;
}

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
      Sha256Hex(fmt::format("python 2\n{}\n{}\n{}\n{}\n{}", python.path, python.version, job.file,
                            job.uv.empty() ? "pip" : "uv", InputText(job.code, job.file)));
  const fs::path folder = fs::path(context.build_folder) / (id + ".python");
  TRY(bool installed,
      Cached(folder, key, [&](const fs::path& staging) { return Install(job, staging); }));
  note = installed ? "installed " + job.file : "";
  return folder.string();
}

}  // namespace samovar
