// How the settings are shown (declared in config.h): as JSON and as docs/configuration.md.
#include <boost/json/array.hpp>

#include "main/config.h"

namespace samovar {

boost::json::object ConfigJson(const Config& config) {
  boost::json::object out;
  for (const ConfigKey& key : ConfigKeys()) {
    const ConfigText text = key.get(config);
    boost::json::value value;
    if (text.list) {
      value = boost::json::array(text.items.begin(), text.items.end());
    } else {
      value = text.items.at(0);
    }
    const std::size_t dot = key.name.find('.');
    if (dot == std::string_view::npos) {
      out[key.name] = std::move(value);
    } else {
      boost::json::value& section = out[key.name.substr(0, dot)];
      if (!section.is_object()) section.emplace_object();
      section.as_object()[key.name.substr(dot + 1)] = std::move(value);
    }
  }
  return out;
}

std::string ConfigMarkdown() {
  std::string out =
      "# Configuration\n\n"
      "<!-- Written by `samovar config --markdown` from src/main/config_keys.cc; a test compares. "
      "-->\n\n"
      "Every setting has a default that suits one machine. Later wins: default, file, environment, "
      "command line.\n\n"
      "- The file is TOML where its name ends in `.toml`, else YAML: `--config FILE`, else "
      "`$SAMOVAR_CONFIG`, else\n  `/etc/samovar/config.yaml` as root and "
      "`~/.config/samovar/config.yaml` otherwise, or `config.toml` there.\n"
      "- An unknown key or a bad value stops the start: `samovar.yaml:7: limits.queue_wait: "
      "expected a duration from\n  1ms to 1h, e.g. 30s or 10m, got \"soon\"`.\n"
      "- `samovar config` prints the values in force and where each comes from; `samovar serve "
      "--set KEY=VALUE` sets one\n  for one run.\n"
      "- Sizes: `512MB`, `1.5GB` (MB is 1024 x 1024 bytes, as Lambda's is). Durations: `250ms`, "
      "`30s`, `10m`, `1h30m`.\n  Lists in the environment are separated by colons.\n\n"
      "```yaml\n"
      "listen: 127.0.0.1:4566\n"
      "limits:\n"
      "  memory_budget: 50%\n"
      "  queue_wait: 30s\n"
      "```\n\n"
      "```toml\n"
      "listen = \"127.0.0.1:4566\"\n"
      "[limits]\n"
      "memory_budget = \"50%\"\n"
      "queue_wait = \"30s\"\n"
      "```\n\n"
      "| key | kind | default | environment | what it does |\n|---|---|---|---|---|\n";
  for (const ConfigKey& key : ConfigKeys()) {
    const std::string fallback = key.fallback.empty() ? "" : fmt::format("`{}`", key.fallback);
    out += fmt::format("| `{}` | {} | {} | `{}` | {} |\n", key.name, key.kind, fallback,
                       key.EnvironmentName(), key.doc);
  }
  return out;
}

}  // namespace samovar
