#pragma once
// The configuration of a function: what CreateFunction and UpdateFunctionConfiguration may set, its
// defaults, its checks beyond the model's, and the two forms it takes afterwards: the answer of
// the API and the Version that instances are made from.
// Errors   InvalidParameterValueException as AWS words it; kUnsupported, named, for what would be
//          accepted and then not done (FileSystemConfigs, arm64, DLQs that are not functions).

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "functions/records.h"
#include "functions/registry.h"

namespace samovar {

// Lays the members of `input` over `config`, with every default where `create`.
Result<void> ApplyConfiguration(const boost::json::object& input, std::string_view name,
                                bool create, const RegistryOptions& options,
                                boost::json::object& config);

// The runtime of models, and the file that such a package holds unless its handler names another.
inline constexpr std::string_view kModelRuntime = "onnx";
inline constexpr std::string_view kModelFile = "model.onnx";
// The file that the package of a function so configured must hold; "" where it is not a model's.
std::string_view ModelFileOf(const boost::json::object& config);

Result<void> CheckRuntime(std::string_view runtime, const RegistryOptions& options);
Result<void> CheckEnvironment(const boost::json::object& variables);
Result<void> CheckArchitectures(const boost::json::object& input);

bool WantsSnapStart(const boost::json::object& config);  // ApplyOn: PublishedVersions
bool HasSnapStart(const VersionRecord& version);         // it is in force: a published version

std::string FunctionArn(const RegistryOptions& options, std::string_view name,
                        std::string_view qualifier = {});
std::string LayerArn(const RegistryOptions& options, std::string_view name);

// FunctionConfiguration. `qualifier`: the end of FunctionArn, or "". `brief`: as lists have it,
// without states.
boost::json::object DescribeVersion(const RegistryOptions& options, const FunctionRecord& function,
                                    const VersionRecord& version, std::string_view qualifier,
                                    bool brief = false);

// What instances are made from. `layer_dirs` in the order of version.layers.
VersionPtr MakeRunnable(const RegistryOptions& options, const FunctionRecord& function,
                        const VersionRecord& version, std::string code_dir,
                        std::vector<std::string> layer_dirs);

}  // namespace samovar
