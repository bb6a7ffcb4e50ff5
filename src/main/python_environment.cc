#include "main/python_environment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "main/child_process.h"
#include "main/progress.h"
#include "wire/sigv4.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

// Those that most packages are built for, the likeliest first.
constexpr const char* kPythons[] = {"python3.11", "python3.12", "python3.13", "python3.10",
                                    "python3"};

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Result<fs::path> CacheFolder(std::string_view name, const std::string& wanted) {
  fs::path folder = wanted;
  if (folder.empty()) {
    if (const std::string xdg = Variable("XDG_CACHE_HOME"); !xdg.empty()) {
      folder = fs::path(xdg) / "samovar" / name;
    } else if (const std::string home = Variable("HOME"); !home.empty()) {
      folder = fs::path(home) / ".cache/samovar" / name;
    } else {
      return Fail(Code::kInvalid, "no HOME to keep the environment under; say --cache");
    }
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Fail(Code::kInvalid, fmt::format("{}: {}", folder.string(), error.message()));
  return folder;
}

namespace {

Result<std::string> Output(std::vector<std::string> argv) {
  std::string text;
  TRY(int status,
      RunChild({.argv = argv, .folder = "", .environment = {{"PYTHONDONTWRITEBYTECODE", "1"}}},
               [&](std::string_view line) { (text += line) += '\n'; }));
  if (status != 0) return Fail(Code::kInvalid, fmt::format("{}: {}", argv[0], text));
  return text;
}

}  // namespace

Result<std::string> FindPython(const std::string& wanted) {
  std::vector<std::string> candidates{wanted};
  if (wanted.empty()) candidates.assign(std::begin(kPythons), std::end(kPythons));
  for (const std::string& candidate : candidates) {
    if (Output({candidate, "-c", "import ensurepip, venv"})) return candidate;
  }
  return Fail(Code::kInvalid, wanted.empty()
                                  ? "no Python 3 with venv on PATH (Debian: python3-venv)"
                                  : wanted + " cannot make environments (it needs venv)");
}

namespace {

// Keeps others that make the same environment waiting.
class Lock {
 public:
  explicit Lock(const fs::path& file)
      : fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ >= 0) ::flock(fd_, LOCK_EX);
  }
  ~Lock() {
    if (fd_ >= 0) ::close(fd_);
  }
  Lock(const Lock&) = delete;

 private:
  int fd_;
};

Result<void> RunStep(const std::string& label, std::vector<std::string> argv,
                     const Terminal& terminal, const Clock& clock) {
  Progress progress(terminal, clock, label);
  std::string last;
  TRY(int status, RunChild({.argv = std::move(argv),
                            .folder = "",
                            .environment = {{"PIP_ROOT_USER_ACTION", "ignore"}}},
                           [&](std::string_view line) {
                             progress.Note(SafeText(line));
                             last = (last + "\n  " + SafeText(line));
                             if (last.size() > 4000) last.erase(0, last.size() - 4000);
                           }));
  if (status != 0) return Fail(Code::kInvalid, fmt::format("{} failed:{}", label, last));
  progress.Done(label + ": done");
  return {};
}

}  // namespace

Result<std::string> PythonEnvironment(const fs::path& cache, const std::string& python,
                                      const std::vector<std::string>& packages,
                                      const Terminal& terminal, const Clock& clock) {
  TRY(const std::string version,
      Output({python, "-c", "import sys; print(sys.executable, sys.version)"}));
  const std::string key = Sha256Hex(fmt::format("{}\n{}", version, fmt::join(packages, "\n")));
  const fs::path folder = cache / key.substr(0, 16);
  const fs::path inside = folder / "bin/python";
  std::error_code error;
  if (fs::exists(folder / "complete", error)) return inside.string();
  const Lock lock(folder.string() + ".lock");
  if (fs::exists(folder / "complete", error)) return inside.string();
  fs::remove_all(folder, error);
  TRY(Output({python, "-m", "venv", folder}));
  // --no-compile: half of the time went into compiling what is never imported.
  std::vector<std::string> pip{inside,         "-m",
                               "pip",          "install",
                               "--no-input",   "--disable-pip-version-check",
                               "--no-compile", "--progress-bar",
                               "off"};
  pip.insert(pip.end(), packages.begin(), packages.end());
  const auto made = RunStep(fmt::format("setting up {}", fmt::join(packages, " ")), std::move(pip),
                            terminal, clock);
  if (!made) {
    fs::remove_all(folder, error);
    return Fail(Code::kInvalid,
                made.error().message + "\nAnother Python may have what is missing here: --python");
  }
  std::ofstream(folder / "complete") << fmt::format("{}\n", fmt::join(packages, "\n"));
  return inside.string();
}

PythonScript::PythonScript(const fs::path& cache, std::string_view name, std::string_view text)
    : path_(cache / fmt::format("{}.{}.py", name, getpid())), text_(text) {}

PythonScript::~PythonScript() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

Result<std::string> PythonScript::Write() const {
  if (std::ofstream(path_) << text_ << std::flush) return path_.string();
  return Fail(Code::kInvalid, path_.string() + ": cannot be written");
}

}  // namespace samovar
