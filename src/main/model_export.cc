#include "main/model_export.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "main/api_client.h"
#include "main/child_process.h"
#include "main/progress.h"
#include "wire/sigv4.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

// Those that the converters' packages are built for, the likeliest first.
constexpr const char* kPythons[] = {"python3.11", "python3.12", "python3.13", "python3.10",
                                    "python3"};

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<fs::path> CacheFolder(const ModelExport& asked) {
  fs::path folder = asked.cache;
  if (folder.empty()) {
    if (const std::string xdg = Variable("XDG_CACHE_HOME"); !xdg.empty()) {
      folder = fs::path(xdg) / "samovar/export";
    } else if (const std::string home = Variable("HOME"); !home.empty()) {
      folder = fs::path(home) / ".cache/samovar/export";
    } else {
      return Fail(Code::kInvalid, "no HOME to keep the environment under; say --cache");
    }
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Fail(Code::kInvalid, fmt::format("{}: {}", folder.string(), error.message()));
  return folder;
}

Result<std::string> Output(std::vector<std::string> argv) {
  std::string text;
  TRY(int status,
      RunChild({.argv = argv, .folder = "", .environment = {{"PYTHONDONTWRITEBYTECODE", "1"}}},
               [&](std::string_view line) { (text += line) += '\n'; }));
  if (status != 0) return Fail(Code::kInvalid, fmt::format("{}: {}", argv[0], text));
  return text;
}

// An interpreter that can make environments.
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

// The interpreter of an environment with these packages, made where it is not there yet.
Result<std::string> Environment(const fs::path& cache, const std::string& python,
                                const std::vector<std::string>& packages, const Terminal& terminal,
                                const Clock& clock) {
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
  std::vector<std::string> pip{inside,           "-m",         "pip",
                               "install",        "--no-input", "--disable-pip-version-check",
                               "--progress-bar", "off"};
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

std::vector<std::string> Texts(const boost::json::value& list) {
  std::vector<std::string> out;
  if (!list.is_array()) return out;
  for (const auto& one : list.as_array()) {
    if (one.is_string()) out.emplace_back(one.as_string());
  }
  return out;
}

// One line of the script's; kInvalid for the error that it tells.
Result<boost::json::value> ReadLine(std::string_view line) {
  boost::system::error_code error;
  const boost::json::value report =
      boost::json::parse(boost::json::string_view(line.data(), line.size()), error);
  if (error || !report.is_object()) return boost::json::object();  // a package's own chatter
  if (const std::string why = JsonText(report, "error"); !why.empty()) {
    return Fail(Code::kInvalid, why);
  }
  return report;
}

void ReadReport(const boost::json::value& report, ModelExported& into) {
  if (const std::string rows = JsonText(report, "checked"); !rows.empty()) {
    into.comparisons.push_back({.rows = rows,
                                .count = JsonNumber(report, "rows"),
                                .largest_difference = JsonNumber(report, "largest_difference"),
                                .relative_difference = JsonNumber(report, "relative_difference"),
                                .beyond = JsonNumber(report, "beyond")});
  }
  if (!JsonText(report, "wrote").empty()) {
    into.bytes = JsonNumber(report, "bytes");
    into.inputs = Texts(JsonMember(report, "inputs"));
    into.outputs = Texts(JsonMember(report, "outputs"));
  }
}

std::vector<std::string> ScriptCall(const ModelExport& asked, const std::string& python,
                                    const std::string& script) {
  std::vector<std::string> argv{python,        script,
                                "export",      asked.source,
                                "--out",       asked.target,
                                "--tolerance", fmt::format("{}", asked.tolerance),
                                "--count",     std::to_string(asked.random_rows)};
  if (asked.features > 0) {
    argv.insert(argv.end(), {"--features", std::to_string(asked.features)});
  }
  if (!asked.rows.empty()) argv.insert(argv.end(), {"--rows", asked.rows});
  return argv;
}

// What can be told before an environment is made.
Result<void> CheckAsked(const ModelExport& asked) {
  std::error_code error;
  for (const std::string& file : {asked.source, asked.rows}) {
    if (!file.empty() && !fs::is_regular_file(file, error)) {
      return Fail(Code::kInvalid, file + ": no such file");
    }
  }
  const fs::path folder = fs::absolute(asked.target).parent_path();
  if (!fs::is_directory(folder, error)) {
    return Fail(Code::kInvalid,
                fmt::format("--out {}: no folder {}", asked.target, folder.string()));
  }
  if (fs::is_directory(asked.target, error)) {
    return Fail(Code::kInvalid, fmt::format("--out {}: that is a folder", asked.target));
  }
  return {};
}

// The script as a file of this process's, for as long as it is needed.
class ScriptFile {
 public:
  explicit ScriptFile(const fs::path& cache)
      : path_(cache / fmt::format("export_model.{}.py", getpid())) {}
  ~ScriptFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  ScriptFile(const ScriptFile&) = delete;
  Result<std::string> Write() const {
    if (std::ofstream(path_) << ExportModelScript() << std::flush) return path_.string();
    return Fail(Code::kInvalid, path_.string() + ": cannot be written");
  }

 private:
  fs::path path_;
};

Result<std::vector<std::string>> Needs(const ModelExport& asked, const std::string& python,
                                       const std::string& script) {
  Result<boost::json::value> told;
  std::string last;
  TRY(const int status,
      RunChild({.argv = {python, script, "needs", asked.source}, .folder = "", .environment = {}},
               [&](std::string_view line) {
                 if (told) told = ReadLine(line);
                 last = SafeText(line);
               }));
  TRY(const boost::json::value report, std::move(told));
  auto packages = Texts(JsonMember(report, "needs"));
  if (status != 0 || packages.empty()) {
    return Fail(Code::kInvalid, fmt::format("{}: cannot be read: {}", asked.source, last));
  }
  packages.insert(packages.end(), asked.with.begin(), asked.with.end());
  return packages;
}

}  // namespace

Result<ModelExported> ExportModel(const ModelExport& asked, const Terminal& terminal,
                                  const Clock& clock) {
  TRY(CheckAsked(asked));
  TRY(const fs::path cache, CacheFolder(asked));
  TRY(const std::string python, FindPython(asked.python));
  const ScriptFile file(cache);
  TRY(const std::string script, file.Write());
  TRY(const auto packages, Needs(asked, python, script));
  TRY(const std::string inside, Environment(cache, python, packages, terminal, clock));
  ModelExported exported;
  Result<void> told;
  std::string last;
  Progress progress(terminal, clock, "converting and comparing");
  const auto take = [&](std::string_view line) {
    const auto report = ReadLine(line);
    if (report) {
      ReadReport(*report, exported);
    } else {
      told = std::unexpected(report.error());
    }
    last = SafeText(line);
  };
  TRY(const int status, RunChild({.argv = ScriptCall(asked, inside, script),
                                  .folder = "",
                                  .environment = {{"PYTHONWARNINGS", "ignore"}}},
                                 take));
  if (!told) return std::unexpected(told.error());
  if (status != 0) return Fail(Code::kInvalid, "the conversion failed: " + last);
  return exported;
}

}  // namespace samovar
