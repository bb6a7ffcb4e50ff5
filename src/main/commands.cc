#include "main/commands.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>

namespace samovar {

namespace {

constexpr const char* kFooter =
    "\nA first round:\n"
    "  samovar serve                          # in one terminal; needs root for isolation\n"
    "  samovar deploy examples/hello          # in another: build, send, say what changed\n"
    "  samovar invoke Hello --payload '{}'    # the answer on standard output\n"
    "  samovar logs Hello --follow\n\n"
    "AWS's own tools work too: export AWS_ENDPOINT_URL=http://127.0.0.1:4566\n"
    "Exit codes: 0 ok, 1 the function failed, 2 wrong input, 3 no server, 4 not found,\n"
    "5 refused, 6 the server failed.   `samovar COMMAND --help` says more.";

}  // namespace

void AddAllCommands(Commands& commands, Serve serve) {
  AddServeCommand(commands, std::move(serve));
  AddDeployCommand(commands);
  AddModelCommand(commands);
  AddListCommand(commands);
  AddShowCommand(commands);
  AddInvokeCommand(commands);
  AddLogsCommand(commands);
  AddUsageCommand(commands);
  AddTopCommand(commands);
  AddDeleteCommand(commands);
  AddLayersCommand(commands);
  AddKeysCommand(commands);
  AddRuntimesCommand(commands);
  AddConfigCommand(commands);
  AddVersionCommand(commands);
  AddCompletionCommand(commands);
}

int RunCli(int argc, char** argv, Serve serve) {
  std::signal(SIGPIPE, SIG_IGN);
  Session session;
  CLI::App app("Samovar runs functions serverlessly on a machine of your own, as AWS Lambda does.",
               "samovar");
  app.set_version_flag("--version", std::string("samovar ") + kSamovarVersion);
  app.require_subcommand(0, 1);
  app.footer(kFooter);
  Commands commands{.app = app, .session = session, .run = {}};
  AddAllCommands(commands, std::move(serve));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return kExitUsage;
  }
  if (!commands.run) {
    session.Print(app.help());
    return kExitUsage;
  }
  return commands.run();
}

}  // namespace samovar
