#pragma once
// The dependencies of a code folder, installed by the language's own tool and kept by hash.

#include <optional>
#include <string>

#include "main/build_package.h"

namespace samovar {

// The folder with what requirements.txt asks for. `note` says what was done.
Result<std::string> InstallPython(const BuildContext& context, const std::string& id,
                                  const std::string& code_folder, const Interpreter& python,
                                  std::string& note);
// The folder that holds node_modules.
Result<std::string> InstallNode(const BuildContext& context, const std::string& id,
                                const std::string& code_folder, const Interpreter& node,
                                std::string& note);
// ARTIFACTS_DIR after `make build-ID`.
Result<std::string> RunMake(const BuildContext& context, const std::string& id,
                            const std::string& code_folder, std::string& note);

// Whether package.json names dependencies.
bool HasNodeDependencies(const std::string& package_json);

}  // namespace samovar
