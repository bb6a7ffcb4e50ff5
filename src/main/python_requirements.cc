#include "main/python_requirements.h"

#include <sstream>

#include "main/build_steps.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

bool NamesDependencies(const std::string& pyproject) {
  return pyproject.find("[project]") != pyproject.npos ||
         pyproject.find("[tool.poetry.dependencies]") != pyproject.npos;
}

bool IsWholePylock(const std::string& lock) {
  std::istringstream lines(lock);
  for (std::string line; std::getline(lines, line);) {
    const bool file = line.find("url =") != line.npos || line.find("path =") != line.npos;
    if (file && line.find("hashes =") == line.npos) return false;
    for (const char* other : {"packages.vcs", "packages.directory", "vcs =", "directory ="}) {
      if (line.find(other) != line.npos) return false;
    }
  }
  return lock.find("hashes =") != lock.npos;
}

}  // namespace

std::string RequirementsText(const fs::path& file, int depth) {
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

bool IsHashed(const std::string& requirements) {
  return requirements.find("--hash=") != requirements.npos;
}

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

std::string InputText(const fs::path& code, const std::string& file) {
  if (file == "requirements.txt") return RequirementsText(code / file);
  return ReadIfThere(code / "pyproject.toml") + "\n" + ReadIfThere(code / file);
}

bool IsWholeLock(const std::string& lock) {
  if (lock.find("[[packages]]") != lock.npos) return IsWholePylock(lock);
  bool any = false;
  std::istringstream lines(lock);
  for (std::string line, whole; std::getline(lines, line);) {
    whole += line;
    if (whole.ends_with('\\')) {  // goes on
      whole.back() = ' ';
      continue;
    }
    const auto first = whole.find_first_not_of(" \t");
    const std::string text = first == whole.npos ? "" : whole.substr(first);
    whole.clear();
    if (text.empty() || text.starts_with('#')) continue;
    if (text.starts_with("--")) continue;  // an index; the files are still those of the hashes
    if (text.starts_with('-') || text.find("==") == text.npos ||
        text.find("--hash=sha256:") == text.npos) {
      return false;
    }
    any = true;
  }
  return any;
}

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

}  // namespace samovar
