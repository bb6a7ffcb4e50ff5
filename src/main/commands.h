#pragma once
// The subcommands, one short file each, and RunCli, which parses a command line and runs one.

#include <functional>

#include "main/serve.h"
#include "main/session.h"

namespace samovar {

using Serve = std::function<int(const ServeOptions&)>;

void AddServeCommand(Commands& commands, Serve serve);
void AddDeployCommand(Commands& commands);
void AddModelCommand(Commands& commands);
void AddImageCommand(Commands& commands);
void AddBuildCommand(Commands& commands);
void AddCheckCommand(Commands& commands);
void AddListCommand(Commands& commands);
void AddLayersCommand(Commands& commands);
void AddShowCommand(Commands& commands);
void AddInvokeCommand(Commands& commands);
void AddLogsCommand(Commands& commands);
void AddUsageCommand(Commands& commands);
void AddTopCommand(Commands& commands);
void AddDeleteCommand(Commands& commands);
void AddKeysCommand(Commands& commands);
void AddCollectionsCommand(Commands& commands);
void AddPackagesCommand(Commands& commands);
void AddRuntimesCommand(Commands& commands);
void AddConfigCommand(Commands& commands);
void AddVersionCommand(Commands& commands);
void AddCompletionCommand(Commands& commands);

// All of them on `app`.
void AddAllCommands(Commands& commands, Serve serve);

// The process's exit code.
int RunCli(int argc, char** argv, Serve serve);

inline constexpr const char* kSamovarVersion = "0.1.0";

}  // namespace samovar
