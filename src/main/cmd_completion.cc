// samovar completion

#include "main/commands.h"
#include "main/completion.h"

namespace samovar {

void AddCompletionCommand(Commands& commands) {
  CLI::App* sub =
      commands.app.add_subcommand("completion", "Print completion for bash, zsh or fish");
  sub->footer(
      "\nExamples:\n"
      "  source <(samovar completion bash)            # also in ~/.bashrc\n"
      "  source <(samovar completion zsh)\n"
      "  samovar completion fish > ~/.config/fish/completions/samovar.fish");
  auto shell = std::make_shared<std::string>();
  sub->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  sub->callback([&commands, shell] {
    commands.run = [&commands, shell] {
      commands.session.Print(CompletionScript(commands.app, *shell).value_or(""));
      return static_cast<int>(kExitOk);
    };
  });
}

}  // namespace samovar
