#include "main/build_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "main/progress.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

using Hosts = std::set<std::string>;

constexpr std::size_t kLinesOfFailure = 25;
constexpr std::size_t kLinesKept = 4000;  // to find the reason in

std::string Trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

}  // namespace

std::string ReadIfThere(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string ReasonIn(const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string line = Trimmed(lines[i]);
    if (line.starts_with("error: ")) {  // uv, cargo
      const std::string next = i + 1 < lines.size() ? Trimmed(lines[i + 1]) : "";
      const auto why = line.substr(7);
      return next.starts_with("cause: ") ? why + ": " + next.substr(7) : why;
    }
    for (std::string_view start : {"ERROR: ", "npm error ", "npm ERR! ", "CMake Error"}) {
      if (line.starts_with(start)) return start == "CMake Error" ? line : line.substr(start.size());
    }
    if (line.find(": error: ") != line.npos || line.find(": *** ") != line.npos) return line;
  }
  return "";
}

Result<int> RunInSandbox(const BuildContext& context, const ChildCall& call,
                         const std::function<void(std::string_view line)>& on_line) {
  if (!context.sandbox) return RunChild(call, on_line);
  TRY(const ChildCall inside, context.sandbox->Inside(call));
  const auto warning = context.sandbox->TakeWarning();
  if (!warning.empty()) {
    const char* clear = context.terminal.Interactive() ? "\r\x1b[K" : "";
    std::fputs(fmt::format("{}warning: {}\n", clear, warning).c_str(), stderr);
  }
  return RunChild(inside, on_line);
}

Result<void> RunTool(const BuildContext& context, const std::string& label, const ChildCall& call) {
  Progress progress(context.terminal, context.clock, label);
  std::vector<std::string> lines;
  TRY(int status, RunInSandbox(context, call, [&](std::string_view line) {
        if (lines.size() == kLinesKept) lines.erase(lines.begin(), lines.begin() + kLinesKept / 2);
        lines.emplace_back(SafeText(line));
        progress.Note(std::string(line));
      }));
  if (status == 0) {
    progress.Done(label + ": done");
    return {};
  }
  const std::string reason = ReasonIn(lines);
  std::string message =
      reason.empty() ? fmt::format("{}: {} ended with status {}", label, call.argv[0], status)
                     : fmt::format("{}: {}", label, reason);
  for (const auto& host : context.sandbox ? context.sandbox->TakeRefused() : Hosts()) {
    message += fmt::format(
        "\n  it wanted {0}, which is no package index of this build (SAMOVAR_BUILD_HOSTS={0} lets "
        "builds reach it)",
        host);
  }
  if (context.terminal.Interactive()) {  // elsewhere every line was printed already
    const auto from = lines.size() - std::min(lines.size(), kLinesOfFailure);
    for (std::size_t i = from; i < lines.size(); ++i) message += "\n  " + lines[i];
  }
  return Fail(Code::kInvalid, std::move(message));
}

Result<bool> Cached(const fs::path& folder, const std::string& key,
                    const std::function<Result<void>(const fs::path& staging)>& make) {
  const fs::path stamp = folder.string() + ".key";
  std::error_code error;
  if (fs::is_directory(folder, error) && ReadIfThere(stamp) == key) return false;
  const fs::path staging = folder.string() + ".new";
  fs::remove(stamp, error);
  fs::remove_all(staging, error);
  fs::create_directories(staging, error);
  if (error) {
    return Fail(Code::kInvalid, fmt::format("{}: {}", staging.string(), error.message()));
  }
  TRY(make(staging));
  fs::remove_all(folder, error);
  fs::rename(staging, folder, error);
  if (error) return Fail(Code::kInvalid, fmt::format("{}: {}", folder.string(), error.message()));
  std::ofstream(stamp) << key;
  return true;
}

}  // namespace samovar
