#include "main/commands.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sstream>

#include "main/build_bounds.h"
#include "main/build_sandbox.h"

namespace samovar {

namespace {

constexpr const char* kFooter =
    "\nA first round:\n"
    "  samovar serve                          # in one terminal; needs root for isolation\n"
    "  samovar deploy hello                   # in another: a folder with app.py\n"
    "  samovar deploy model.onnx              # a model is a function, too\n"
    "  samovar invoke hello --payload '{}'    # the answer on standard output\n"
    "  samovar logs hello --follow\n\n"
    "AWS's own tools work too: export AWS_ENDPOINT_URL=http://127.0.0.1:4566\n"
    "Exit codes: 0 ok, 1 the function failed, 2 wrong input, 3 no server, 4 not found,\n"
    "5 refused, 6 the server failed.   `samovar COMMAND --help` says more.";

// What commands print in vain is an error. Who reads no further, as `head` does, has what it
// wanted.
int Printed(const Session& session, int code) {
  if (code != kExitOk || session.Unprinted() == 0 || session.Unprinted() == EPIPE) return code;
  const auto failed = ErrnoError("write to standard output", session.Unprinted());
  return session.Report({Code::kInvalid, failed.message});
}

// What was wrong with a command line, in the form of all errors.
int ReportUsage(const CLI::App& app, Session& session, const std::vector<std::string>& words,
                std::string what) {
  // Flags of a command line that was refused have not been read.
  session.json = session.json || std::ranges::find(words, "--json") != words.end();
  auto every = [](const CLI::App*) { return true; };
  auto verbs = [&](const CLI::App& command) {
    std::string out;
    for (const CLI::App* sub : command.get_subcommands(every)) out += " " + sub->get_name();
    return out;
  };
  std::string named;  // as far as the words are commands: "collections create "
  const CLI::App* at = &app;
  for (const std::string& word : words) {
    if (word.starts_with("-") || at->get_subcommands(every).empty()) break;
    const auto its =
        at->get_subcommands([&](const CLI::App* sub) { return sub->check_name(word); });
    if (its.empty()) {
      what = "there is no command " + named + word;
      break;
    }
    at = its.front();
    named += word + " ";
  }
  if (what == CLI::RequiredError::Subcommand(1).what()) what = "say what:" + verbs(*at);
  const int code = session.Report({Code::kInvalid, what, {}});
  if (!session.json) session.Say("`samovar " + named + "--help` says more");
  return code;
}

}  // namespace

void AddAllCommands(Commands& commands, Serve serve) {
  AddServeCommand(commands, std::move(serve));
  AddDeployCommand(commands);
  AddModelCommand(commands);
  AddImageCommand(commands);
  AddBuildCommand(commands);
  AddCheckCommand(commands);
  AddListCommand(commands);
  AddShowCommand(commands);
  AddInvokeCommand(commands);
  AddLogsCommand(commands);
  AddUsageCommand(commands);
  AddTopCommand(commands);
  AddDeleteCommand(commands);
  AddLayersCommand(commands);
  AddCollectionsCommand(commands);
  AddKeysCommand(commands);
  AddPackagesCommand(commands);
  AddRuntimesCommand(commands);
  AddConfigCommand(commands);
  AddVersionCommand(commands);
  AddCompletionCommand(commands);
}

int RunCli(int argc, char** argv, Serve serve) {
  if (argc > 1 && argv[1] == kBoundedBuild) return RunBounded(argc - 2, argv + 2);
  if (argc > 1 && argv[1] == kInsideBuild) return RunInsideBuild(argc - 2, argv + 2);
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
    std::ostringstream text;
    app.exit(e, text, text);
    session.Print(text.str());
    return Printed(session, kExitOk);
  } catch (const CLI::ParseError& e) {
    return ReportUsage(app, session, {argv + std::min(argc, 1), argv + argc}, e.what());
  }
  if (!commands.run) {
    session.Print(app.help());
    return kExitUsage;
  }
  return Printed(session, commands.run());
}

}  // namespace samovar
