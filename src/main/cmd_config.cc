// samovar config
#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "main/commands.h"
#include "main/table.h"

namespace samovar {

namespace {

struct Options {
  std::string file;
  bool markdown = false;
};

boost::json::array AsJson(const LoadedConfig& loaded) {
  boost::json::array out;
  for (const ConfigKey& key : ConfigKeys()) {
    out.push_back(boost::json::object{{"key", key.name},
                                      {"value", key.get(loaded.config).Show()},
                                      {"default", key.fallback},
                                      {"from", loaded.origin.at(std::string(key.name))},
                                      {"environment", key.EnvironmentName()},
                                      {"doc", key.doc}});
  }
  return out;
}

Result<int> ShowConfig(const Session& session, const Options& options) {
  if (options.markdown) {
    session.Print(ConfigMarkdown());
    return kExitOk;
  }
  TRY(LoadedConfig loaded, LoadConfigFromSystem(options.file, {}));
  if (session.json) {
    session.PrintJson(AsJson(loaded));
    return kExitOk;
  }
  Table table({{"KEY"}, {"VALUE"}, {"DEFAULT"}, {"FROM"}, {"WHAT IT DOES"}});
  for (const ConfigKey& key : ConfigKeys()) {
    const std::string origin = loaded.origin.at(std::string(key.name));
    const bool set = origin != "default";
    table.Add({Cell(std::string(key.name), Ink::kCyan),
               Cell(key.get(loaded.config).Show(), set ? Ink::kBold : Ink::kPlain),
               std::string(key.fallback), Cell(origin, Ink::kDim), std::string(key.doc)});
  }
  session.Print(table.Render(session.out, session.out.Interactive()));
  return kExitOk;
}

}  // namespace

void AddConfigCommand(Commands& commands) {
  CLI::App* sub = commands.app.add_subcommand(
      "config", "Print every setting: its value here, its default, what it does");
  sub->add_flag("--json", commands.session.json, "Print JSON");
  sub->footer(
      "\nExamples:\n"
      "  samovar config --config /etc/samovar/config.yaml\n"
      "  samovar config --json | jq -r '.[] | select(.from != \"default\") | .key'\n\n"
      "These are the settings that `samovar serve` would start with here; those of a running\n"
      "server: GET /samovar/v1/config.");
  auto options = std::make_shared<Options>();
  sub->add_option("--config", options->file, "TOML or YAML file with settings");
  sub->add_flag("--markdown", options->markdown, "Print docs/configuration.md");
  sub->callback([&commands, options] {
    commands.run = [&commands, options] {
      return Finish(commands.session, ShowConfig(commands.session, *options));
    };
  });
}

}  // namespace samovar
