// samovar serve
#include <fmt/format.h>

#include "main/commands.h"

namespace samovar {

namespace {

struct Options {
  std::string config, listen, data_dir, isolation, log_level;
  std::vector<std::string> set;
};

Result<int> Run(const Session& session, const Options& options, const Serve& serve) {
  std::vector<std::pair<std::string, std::string>> flags;
  for (const std::string& pair : options.set) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos) {
      return Fail(Code::kInvalid, fmt::format("--set {}: expected KEY=VALUE", pair));
    }
    flags.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
  const std::pair<const char*, const std::string*> named[] = {{"listen", &options.listen},
                                                              {"data_dir", &options.data_dir},
                                                              {"isolation", &options.isolation},
                                                              {"log_level", &options.log_level}};
  for (const auto& [key, value] : named) {
    if (!value->empty()) flags.emplace_back(key, *value);
  }
  TRY(LoadedConfig loaded, LoadConfigFromSystem(options.config, std::move(flags)));
  SetLogLevel(loaded.config.log_level);
  if (!serve) return Fail(Code::kUnsupported, "this build has no server");
  (void)session;
  return serve(ServeOptions{.config = std::move(loaded.config)});
}

}  // namespace

void AddServeCommand(Commands& commands, Serve serve) {
  CLI::App* sub = commands.app.add_subcommand("serve", "Run the server");
  sub->footer(
      "\nExamples:\n"
      "  samovar serve\n"
      "  samovar serve --data-dir /srv/samovar --listen 127.0.0.1:8080\n"
      "  samovar serve --set limits.memory_budget=4GB --set keep_alive.fixed=30m\n\n"
      "Settings: `samovar config` lists them all. SIGTERM lets running invocations finish.");
  auto options = std::make_shared<Options>();
  sub->add_option("--config", options->config, "TOML or YAML file with settings");
  sub->add_option("--listen", options->listen, "HOST:PORT (default 127.0.0.1:4566)");
  sub->add_option("--data-dir", options->data_dir, "Where functions and events are kept");
  sub->add_option("--isolation", options->isolation, "full or process (only for trusted code)");
  sub->add_option("--log-level", options->log_level, "debug, info, warn or error");
  sub->add_option("--set", options->set, "Any setting, KEY=VALUE; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  sub->callback([&commands, options, serve = std::move(serve)] {
    commands.run = [&commands, options, serve] {
      return Finish(commands.session, Run(commands.session, *options, serve));
    };
  });
}

}  // namespace samovar
