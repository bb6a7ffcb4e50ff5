#pragma once
// The dependencies of a code folder, installed by the language's own tool and kept by hash.

#include <string>

#include "main/build_package.h"

namespace samovar {

// The folder that holds node_modules.
Result<std::string> InstallNode(const BuildContext& context, const std::string& id,
                                const std::string& code_folder, const Interpreter& node,
                                std::string& note);
// ARTIFACTS_DIR after `make build-ID`.
Result<std::string> RunMake(const BuildContext& context, const std::string& id,
                            const std::string& code_folder, std::string& note);

// A folder with the program `bootstrap` of a CMake or Cargo project, and nothing else.
Result<std::string> RunCMake(const BuildContext& context, const std::string& id,
                             const std::string& code_folder, std::string& note);
Result<std::string> RunCargo(const BuildContext& context, const std::string& id,
                             const std::string& code_folder, std::string& note);

// Whether package.json names dependencies.
bool HasNodeDependencies(const std::string& package_json);

}  // namespace samovar
