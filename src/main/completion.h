#pragma once
// CompletionScript: a shell's completion, made from the commands and options as they are.

#include <CLI/App.hpp>
#include <optional>
#include <string>

namespace samovar {

// `shell`: bash, zsh or fish; nullopt for another. Function names are completed by asking the
// server (samovar list --json).
std::optional<std::string> CompletionScript(const CLI::App& app, const std::string& shell);

}  // namespace samovar
