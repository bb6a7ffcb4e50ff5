// samovar runtimes, samovar version
#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "main/commands.h"
#include "main/table.h"

namespace samovar {

namespace {

Result<int> Runtimes(const Session& session) {
  TRY(ApiClient client, session.Client());
  TRY(boost::json::value answer, client.Json("GET", "/samovar/v1/runtimes"));
  if (session.json) {
    session.PrintJson(answer);
    return kExitOk;
  }
  Table table({{"RUNTIME"}, {"VERSION"}, {"PATH"}});
  const boost::json::value& runtimes = JsonMember(answer, "runtimes");
  if (runtimes.is_array()) {
    for (const auto& runtime : runtimes.as_array()) {
      table.Add(
          {JsonText(runtime, "name"), JsonText(runtime, "version"), JsonText(runtime, "path")});
    }
  }
  session.Print(table.Render(session.out));
  const boost::json::value& unusable = JsonMember(answer, "unusable");
  if (unusable.is_array()) {
    for (const auto& one : unusable.as_array()) {
      session.Print(session.out.Paint(
          Ink::kDim, fmt::format("not usable: {}: {}\n", SafeText(JsonText(one, "path")),
                                 SafeText(JsonText(one, "reason")))));
    }
  }
  return kExitOk;
}

// The server's own version is a bonus: a version must be had without one.
int Version(const Session& session) {
  boost::json::object out{{"version", kSamovarVersion}};
  std::string line = fmt::format("samovar {}", kSamovarVersion);
  if (const auto client = session.Client()) {
    const auto health = client->Json("GET", "/samovar/v1/health");
    if (health && !JsonText(*health, "version").empty()) {
      out["server"] = *health;
      line += fmt::format("\nserver {} at {}, isolation {}", JsonText(*health, "version"),
                          client->Address(), JsonText(*health, "isolation"));
    }
  }
  if (session.json) {
    session.PrintJson(out);
  } else {
    session.Print(line + "\n");
  }
  return kExitOk;
}

}  // namespace

void AddRuntimesCommand(Commands& commands) {
  CLI::App* sub =
      commands.Add("runtimes", "List the languages the server can run", "  samovar runtimes");
  sub->callback([&commands] {
    commands.run = [&commands] { return Finish(commands.session, Runtimes(commands.session)); };
  });
}

void AddVersionCommand(Commands& commands) {
  CLI::App* sub =
      commands.Add("version", "Say the versions of program and server", "  samovar version --json");
  sub->callback([&commands] { commands.run = [&commands] { return Version(commands.session); }; });
}

}  // namespace samovar
