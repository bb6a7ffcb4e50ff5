#pragma once
// PythonEnvironment: an interpreter with packages that a command of this program needs, made by pip
// once and kept in the user's cache under a hash of interpreter and packages.
// Errors   kInvalid, with pip's own words. An environment that was not finished is not used.
// Threads  One; other processes that make the same environment wait for each other.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "main/terminal.h"

namespace samovar {

// `wanted`, or where that is "" ~/.cache/samovar/NAME. It is there afterwards.
Result<std::filesystem::path> CacheFolder(std::string_view name, const std::string& wanted);

// An interpreter that can make environments: `wanted`, or where that is "" one on PATH.
Result<std::string> FindPython(const std::string& wanted);

// The interpreter of an environment with these packages, made where it is not there yet.
Result<std::string> PythonEnvironment(const std::filesystem::path& cache, const std::string& python,
                                      const std::vector<std::string>& packages,
                                      const Terminal& terminal, const Clock& clock);

// A script as a file of this process's, for as long as it is needed.
class PythonScript {
 public:
  PythonScript(const std::filesystem::path& cache, std::string_view name, std::string_view text);
  ~PythonScript();
  PythonScript(const PythonScript&) = delete;
  Result<std::string> Write() const;

 private:
  std::filesystem::path path_;
  std::string_view text_;
};

}  // namespace samovar
