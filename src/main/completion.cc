#include "main/completion.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace samovar {

namespace {

std::vector<const CLI::App*> Subcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* sub) { return !sub->get_name().empty(); });
}

std::vector<std::string> Flags(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  }
  return out;
}

bool TakesFunction(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() && option->get_name(true) == "NAME") return true;
  }
  return false;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// Words that may follow a command: its own subcommands and flags.
std::string WordsOf(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* sub : Subcommands(app)) words.push_back(sub->get_name());
  for (const std::string& flag : Flags(app)) words.push_back(flag);
  return Joined(words);
}

// The names in `samovar list`, without a tool that may not be there.
constexpr std::string_view kNames = "samovar list 2>/dev/null | awk 'NR>1 {print $1}'";

std::string Bash(const CLI::App& app) {
  std::string cases;
  for (const CLI::App* sub : Subcommands(app)) {
    const std::string& name = sub->get_name();
    for (const CLI::App* verb : Subcommands(*sub)) {
      cases += fmt::format("    {}:{}) words=\"{}\" ;;\n", name, verb->get_name(), WordsOf(*verb));
    }
    cases += fmt::format("    {}:*) words=\"{}\" ;;\n", name, WordsOf(*sub));
  }
  std::string named;
  for (const CLI::App* sub : Subcommands(app)) {
    if (TakesFunction(*sub)) named += (named.empty() ? "" : "|") + sub->get_name();
  }
  return fmt::format(
      "# bash completion of samovar: source <(samovar completion bash)\n"
      "_samovar() {{\n"
      "  local current=\"${{COMP_WORDS[COMP_CWORD]}}\" words=\"\"\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W \"{}\" -- \"$current\")); return\n"
      "  fi\n"
      "  case \"${{COMP_WORDS[1]}}:${{COMP_WORDS[2]}}\" in\n{}  esac\n"
      "  case \"${{COMP_WORDS[1]}}:$current\" in\n"
      "    *:-*) ;;\n"
      "    deploy:*) COMPREPLY=($(compgen -d -- \"$current\") "
      "$(compgen -f -X '!*.onnx' -- \"$current\")); return ;;\n"
      "  esac\n"
      "  case \"${{COMP_WORDS[1]}}\" in {}) [ \"${{current#-}}\" = \"$current\" ] && "
      "words=\"$words $({})\" ;; esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}}\n"
      "complete -o default -F _samovar samovar\n",
      WordsOf(app), cases, named, kNames);
}

std::string Quoted(std::string_view text) {  // for single quotes, in zsh and fish
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Zsh(const CLI::App& app) {
  std::string commands, cases;
  for (const CLI::App* sub : Subcommands(app)) {
    commands += fmt::format("    '{}:{}'\n", sub->get_name(), Quoted(sub->get_description()));
    cases += fmt::format("    {})\n", sub->get_name());
    if (TakesFunction(*sub)) cases += fmt::format("      compadd -- ${{(f)\"$({})\"}}\n", kNames);
    if (sub->get_name() == "deploy") cases += "      _files -g '*.onnx'\n";
    for (const CLI::App* verb : Subcommands(*sub)) {
      cases += fmt::format("      [ \"$words[3]\" = {} ] && {{ compadd -- {}; _files; return; }}\n",
                           verb->get_name(), WordsOf(*verb));
    }
    cases += fmt::format("      compadd -- {}\n      ;;\n", WordsOf(*sub));
  }
  return fmt::format(
      "#compdef samovar\n"
      "# zsh completion of samovar: source <(samovar completion zsh)\n"
      "_samovar() {{\n"
      "  local -a commands\n"
      "  commands=(\n{}  )\n"
      "  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
      "  case \"$words[2]\" in\n{}  esac\n"
      "}}\n"
      "compdef _samovar samovar\n",
      commands, cases);
}

std::string Fish(const CLI::App& app) {
  std::string out =
      "# fish completion of samovar: samovar completion fish | source\n"
      "complete -c samovar -f\n";
  for (const CLI::App* sub : Subcommands(app)) {
    const std::string& name = sub->get_name();
    out += fmt::format("complete -c samovar -n __fish_use_subcommand -a {} -d '{}'\n", name,
                       Quoted(sub->get_description()));
    const std::string when = fmt::format("-n '__fish_seen_subcommand_from {}'", name);
    for (const CLI::App* verb : Subcommands(*sub)) {
      out += fmt::format("complete -c samovar {} -a {}\n", when, verb->get_name());
      for (const CLI::Option* option : verb->get_options()) {
        for (const std::string& flag : option->get_lnames()) {
          out += fmt::format(
              "complete -c samovar -n '__fish_seen_subcommand_from {}; and "
              "__fish_seen_subcommand_from {}' -F -l {} -d '{}'\n",
              name, verb->get_name(), flag, Quoted(option->get_description()));
        }
      }
    }
    for (const CLI::Option* option : sub->get_options()) {
      for (const std::string& flag : option->get_lnames()) {
        out += fmt::format("complete -c samovar {} -l {} -d '{}'\n", when, flag,
                           Quoted(option->get_description()));
      }
    }
    if (TakesFunction(*sub)) {
      out += fmt::format("complete -c samovar {} -a '({})'\n", when,
                         "samovar list 2>/dev/null | awk \"NR>1 {print \\$1}\"");
    }
    if (name == "deploy") {
      out += fmt::format("complete -c samovar {} -a '(__fish_complete_suffix .onnx)'\n", when);
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> CompletionScript(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return Bash(app);
  if (shell == "zsh") return Zsh(app);
  if (shell == "fish") return Fish(app);
  return std::nullopt;
}

}  // namespace samovar
