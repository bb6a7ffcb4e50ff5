#pragma once
// InstallPython: what a Python function's code asks for, resolved to a lock and installed from it.
//
// How      PyPI's uv resolves and installs for the very interpreter of the function; without uv on
//          the machine pip does, for requirements.txt alone. The lock (versions and hashes) becomes
//          a file of the package, so that every version keeps what it was built of. Indexes,
//          proxies and offline folders are uv's own settings (UV_DEFAULT_INDEX, UV_INDEX,
//          UV_FIND_LINKS, UV_OFFLINE, HTTPS_PROXY); pip's stand in where those are not set.
// Errors   kInvalid: RunTool's, or no tool for what the folder has.
// Threads  One.

#include <optional>
#include <string>

#include "main/build_package.h"

namespace samovar {

// In a package: what it was built of, in the form of requirements.txt or pylock.toml.
inline constexpr const char* kLockFile = ".samovar/requirements.lock";

// The folder with what the code folder's dependency file asks for. `note` says what was done.
// REQUIRES: PythonDependencyFile(code_folder) is not "".
Result<std::string> InstallPython(const BuildContext& context, const std::string& id,
                                  const std::string& code_folder, const Interpreter& python,
                                  std::string& note);

}  // namespace samovar
