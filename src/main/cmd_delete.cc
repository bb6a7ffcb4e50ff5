// samovar delete
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <iostream>

#include "base/encoding.h"
#include "main/commands.h"

namespace samovar {

namespace {

struct Options {
  std::vector<std::string> names;
  std::string qualifier;
  bool yes = false;
};

bool Confirmed(const Session& session, const Options& options) {
  if (options.yes || !session.err.Interactive() || isatty(0) != 1) return true;
  std::string names;
  for (const std::string& name : options.names) names += (names.empty() ? "" : ", ") + name;
  std::cerr << fmt::format(
      "delete {}{}? [y/N] ", SafeText(names),
      options.qualifier.empty() ? " with all versions" : ", version " + options.qualifier);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<int> Delete(const Session& session, const Options& options) {
  TRY(ApiClient client, session.Client());
  if (!Confirmed(session, options)) {
    session.Say("nothing deleted");
    return kExitOk;
  }
  boost::json::array deleted;
  for (const std::string& name : options.names) {
    std::string target = FunctionPath(name);
    if (!options.qualifier.empty()) target += "?Qualifier=" + PercentEncode(options.qualifier);
    TRY(boost::json::value gone, client.Json("DELETE", target));
    deleted.emplace_back(name);
    if (!session.json) {
      session.Say(options.qualifier.empty()
                      ? "deleted " + name
                      : "deleted version " + options.qualifier + " of " + name);
    }
  }
  if (session.json) session.PrintJson(boost::json::object{{"deleted", std::move(deleted)}});
  return kExitOk;
}

}  // namespace

void AddDeleteCommand(Commands& commands) {
  CLI::App* sub = commands.Add("delete", "Delete functions, or one version of one",
                               "  samovar delete Hello\n"
                               "  samovar delete Hello --qualifier 3\n"
                               "  samovar delete Old1 Old2 --yes");
  auto options = std::make_shared<Options>();
  sub->add_option("NAME", options->names, "Functions")->required();
  sub->add_option("--qualifier,-q", options->qualifier, "Only this version");
  sub->add_flag("--yes,-y", options->yes, "Do not ask (a script is never asked)");
  sub->callback([&commands, options] {
    commands.run = [&commands, options] {
      return Finish(commands.session, Delete(commands.session, *options));
    };
  });
}

}  // namespace samovar
