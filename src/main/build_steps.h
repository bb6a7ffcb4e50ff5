#pragma once
// What the steps of a build share: running a tool with its progress shown, and keeping what it
// made.
// Errors   kInvalid, its first line saying which part failed and why, then the tool's last lines.
// Threads  One.

#include <filesystem>
#include <functional>
#include <string>

#include "main/build_package.h"
#include "main/child_process.h"

namespace samovar {

// The whole file, or "" where it cannot be read.
std::string ReadIfThere(const std::filesystem::path& path);

// A regular file that a tool made, whole; "" for a link, which may lead anywhere, and for any
// other.
std::string ReadMade(const std::filesystem::path& path);

// How a tool ended.
struct ToolEnd {
  int status = 0;
  std::string bound{};  // what it was ended for, or could not have
};
// As RunChild, within the bounds of builds and in the sandbox where there is one.
Result<ToolEnd> RunInSandbox(const BuildContext& context, const ChildCall& call,
                             const std::function<void(std::string_view line)>& on_line);

// `label`: "Hello: uv installs requirements.txt".
Result<void> RunTool(const BuildContext& context, const std::string& label, const ChildCall& call);
// The same, but false where it failed for what `pardoned` finds in one of its lines.
Result<bool> TryTool(const BuildContext& context, const std::string& label, const ChildCall& call,
                     const std::function<bool(std::string_view line)>& pardoned);

// Of what a failed tool printed, the words that say why: uv's error with its first cause, pip's and
// npm's and make's first error, a compiler's; "" where none stands out.
std::string ReasonIn(const std::vector<std::string>& lines);

// Makes `folder` anew by `make(staging)`; it appears whole or not at all.
Result<void> MakeWhole(
    const std::filesystem::path& folder,
    const std::function<Result<void>(const std::filesystem::path& staging)>& make);
// Makes `folder` by `make(staging)` unless it is there with the same key; appears whole or not at
// all. True when it was made now.
Result<bool> Cached(const std::filesystem::path& folder, const std::string& key,
                    const std::function<Result<void>(const std::filesystem::path& staging)>& make);

}  // namespace samovar
