// samovar list, samovar layers
#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "main/commands.h"
#include "main/progress.h"
#include "main/table.h"

namespace samovar {

namespace {

Result<int> List(const Session& session) {
  TRY(ApiClient client, session.Client());
  TRY(boost::json::array functions, client.AllPages("/2015-03-31/functions/", "Functions"));
  if (session.json) {
    session.PrintJson(boost::json::object{{"functions", std::move(functions)}});
    return kExitOk;
  }
  if (functions.empty()) {
    session.Say("no functions yet; deploy one: samovar deploy DIR");
    return kExitOk;
  }
  Table table({{"NAME"},
               {"RUNTIME"},
               {"MB", true},
               {"TIMEOUT", true},
               {"CODE", true},
               {"STATE"},
               {"CHANGED"}});
  for (const auto& function : functions) {
    const std::string state = JsonText(function, "State");
    table.Add({JsonText(function, "FunctionName"), JsonText(function, "Runtime"),
               fmt::format("{:.0f}", JsonNumber(function, "MemorySize")),
               fmt::format("{:.0f}s", JsonNumber(function, "Timeout")),
               HumanSize(static_cast<std::uint64_t>(JsonNumber(function, "CodeSize"))),
               Cell(state.empty() ? "Active" : state, state == "Failed" ? Ink::kRed : Ink::kPlain),
               JsonText(function, "LastModified").substr(0, 19)});
  }
  session.Print(table.Render(session.out));
  return kExitOk;
}

Result<int> Layers(const Session& session) {
  TRY(ApiClient client, session.Client());
  TRY(boost::json::array layers, client.AllPages("/2018-10-31/layers", "Layers"));
  if (session.json) {
    session.PrintJson(boost::json::object{{"layers", std::move(layers)}});
    return kExitOk;
  }
  if (layers.empty()) {
    session.Say("no layers");
    return kExitOk;
  }
  Table table({{"NAME"}, {"VERSION", true}, {"CREATED"}, {"DESCRIPTION"}});
  for (const auto& layer : layers) {
    const boost::json::value& newest = JsonMember(layer, "LatestMatchingVersion");
    table.Add({JsonText(layer, "LayerName"), fmt::format("{:.0f}", JsonNumber(newest, "Version")),
               JsonText(newest, "CreatedDate").substr(0, 19), JsonText(newest, "Description")});
  }
  session.Print(table.Render(session.out));
  return kExitOk;
}

}  // namespace

void AddListCommand(Commands& commands) {
  CLI::App* sub = commands.Add("list", "List the functions",
                               "  samovar list\n"
                               "  samovar list --json | jq -r '.functions[].FunctionName'");
  sub->callback([&commands] {
    commands.run = [&commands] { return Finish(commands.session, List(commands.session)); };
  });
}

void AddLayersCommand(Commands& commands) {
  CLI::App* sub = commands.Add("layers", "List the layers", "  samovar layers");
  sub->callback([&commands] {
    commands.run = [&commands] { return Finish(commands.session, Layers(commands.session)); };
  });
}

}  // namespace samovar
