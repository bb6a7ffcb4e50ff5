#include "main/model_export.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <filesystem>

#include "main/api_client.h"
#include "main/child_process.h"
#include "main/progress.h"
#include "main/python_environment.h"
#include "main/python_scripts.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

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
  TRY(const fs::path cache, CacheFolder("export", asked.cache));
  TRY(const std::string python, FindPython(asked.python));
  const PythonScript file(cache, "export_model", ExportModelScript());
  TRY(const std::string script, file.Write());
  TRY(const auto packages, Needs(asked, python, script));
  TRY(const std::string inside, PythonEnvironment(cache, python, packages, terminal, clock));
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
