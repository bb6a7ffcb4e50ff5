#include "main/build_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "main/config.h"
#include "main/progress.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

using Hosts = std::set<std::string>;

constexpr std::size_t kLinesOfFailure = 25;
constexpr std::size_t kLinesKept = 4000;  // to find the reason in

// What a shell says of a program that passed the limit of a file, and what that says of itself.
bool IsFileTooLarge(std::string_view line) {
  return line.contains("File size limit exceeded") || line.contains("File too large");
}

std::string Trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

// npm says first a code, and in lines of their own where it was and what it ran.
std::string ReasonOfNpm(const std::vector<std::string>& lines) {
  std::string package;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    for (std::string_view start : {"npm error ", "npm ERR! "}) {
      if (!line.starts_with(start)) continue;
      line.remove_prefix(start.size());
      if (line.starts_with("path ")) {
        const auto at = line.rfind("node_modules/");
        if (at != line.npos) package = line.substr(at + 13);
      } else if (line == "command failed") {
        const auto command = i + 1 < lines.size() ? lines[i + 1].substr(start.size()) : "";
        return fmt::format("{}: its install script failed: {}", package, Trimmed(command));
      } else if (!line.starts_with("code ") && !line.starts_with("errno ") &&
                 !line.starts_with("syscall ")) {
        return Trimmed(line);
      }
    }
  }
  return "";
}

// "src/main.rs:1:13: cannot find value `x`", from the compiler's first error and the line below it.
std::string ReasonOfRust(const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    const auto end = lines[i].find("]: ");
    if (!lines[i].starts_with("error[E") || end == std::string::npos) continue;
    const auto place = Trimmed(lines[i + 1]);
    const auto why = lines[i].substr(end + 3);
    return place.starts_with("--> ") ? place.substr(4) + ": " + why : why;
  }
  return "";
}

}  // namespace

std::string ReadIfThere(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string ReadMade(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::regular ? ReadIfThere(path) : "";
}

std::string ReasonIn(const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string line = Trimmed(lines[i]);
    if (line.starts_with("error: ")) {  // uv, cargo
      const std::string next = i + 1 < lines.size() ? Trimmed(lines[i + 1]) : "";
      auto why = line.substr(7);
      const auto compiler = why.starts_with("could not compile ") ? ReasonOfRust(lines) : "";
      if (!compiler.empty()) return why.substr(0, why.find(" due to")) + ": " + compiler;
      return next.starts_with("cause: ") ? why + ": " + next.substr(7) : why;
    }
    if (line.starts_with("npm error ") || line.starts_with("npm ERR! ")) return ReasonOfNpm(lines);
    for (std::string_view start : {"ERROR: ", "CMake Error"}) {
      if (line.starts_with(start)) return start == "CMake Error" ? line : line.substr(start.size());
    }
    if (line.find(": error: ") != line.npos || line.find(": *** ") != line.npos) return line;
  }
  return "";
}

Result<ToolEnd> RunInSandbox(const BuildContext& context, const ChildCall& call,
                             const std::function<void(std::string_view line)>& on_line) {
  TRY(const BuildBounds bounds, ReadBuildBounds());
  ChildCall bounded = call;
  if (context.sandbox) {
    TRY(bounded, context.sandbox->Inside(call, bounds));
    const auto warning = context.sandbox->TakeWarning();
    if (!warning.empty()) {
      const char* clear = context.terminal.Interactive() ? "\r\x1b[K" : "";
      std::fputs(fmt::format("{}warning: {}\n", clear, warning).c_str(), stderr);
    }
  }
  std::vector<std::string> written = call.writable;
  written.push_back(context.build_folder);
  if (call.in_place) written.push_back(call.folder);
  BuildGroup* const group = context.sandbox ? context.sandbox->Group(bounds) : nullptr;
  BuildWatch watch(bounds, group, std::move(written));
  const auto stage = watch.Stage();
  bounded.argv.insert(bounded.argv.begin(), stage.begin(), stage.end());
  ToolEnd end;
  TRY(end.status, RunChild(bounded, on_line, [&](pid_t tool) { watch.Begin(tool); }));
  end.bound = watch.End();
  return end;
}

Result<void> RunTool(const BuildContext& context, const std::string& label, const ChildCall& call) {
  TRY(const bool done, TryTool(context, label, call, {}));
  (void)done;
  return {};
}

Result<bool> TryTool(const BuildContext& context, const std::string& label, const ChildCall& call,
                     const std::function<bool(std::string_view line)>& pardoned) {
  Progress progress(context.terminal, context.clock, label);
  std::vector<std::string> lines;
  TRY(ToolEnd end, RunInSandbox(context, call, [&](std::string_view line) {
        if (lines.size() == kLinesKept) lines.erase(lines.begin(), lines.begin() + kLinesKept / 2);
        lines.emplace_back(SafeText(line));
        progress.Note(std::string(line));
      }));
  if (end.status == 0) {
    progress.Done(label + ": done");
    return true;
  }
  if (end.bound.empty() && std::ranges::any_of(lines, IsFileTooLarge)) {
    TRY(const BuildBounds bounds, ReadBuildBounds());
    end.bound = fmt::format(
        "it wrote a file larger than {}, which is the bound of a build (SAMOVAR_BUILD_DISK)",
        ShowSize(bounds.disk));
  }
  if (end.bound.empty() && pardoned && std::ranges::any_of(lines, pardoned)) return false;
  const std::string reason = end.bound.empty() ? ReasonIn(lines) : end.bound;
  std::string message =
      reason.empty() ? fmt::format("{}: {} ended with status {}", label, call.argv[0], end.status)
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

Result<void> MakeWhole(const fs::path& folder,
                       const std::function<Result<void>(const fs::path& staging)>& make) {
  const fs::path staging = folder.string() + ".new";
  std::error_code error;
  fs::remove_all(staging, error);
  fs::create_directories(staging, error);
  if (error) {
    return Fail(Code::kInvalid, fmt::format("{}: {}", staging.string(), error.message()));
  }
  if (auto made = make(staging); !made) {
    fs::remove_all(staging, error);  // it may have filled the disk
    return made;
  }
  fs::remove_all(folder, error);
  fs::rename(staging, folder, error);
  if (error) return Fail(Code::kInvalid, fmt::format("{}: {}", folder.string(), error.message()));
  return {};
}

Result<bool> Cached(const fs::path& folder, const std::string& key,
                    const std::function<Result<void>(const fs::path& staging)>& make) {
  const fs::path stamp = folder.string() + ".key";
  std::error_code error;
  if (fs::is_directory(folder, error) && ReadIfThere(stamp) == key) return false;
  fs::remove(stamp, error);
  TRY(MakeWhole(folder, make));
  std::ofstream(stamp) << key;
  return true;
}

}  // namespace samovar
