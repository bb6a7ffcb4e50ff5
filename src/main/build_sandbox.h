#pragma once
// BuildSandbox: where the tools of a build run: they see their project, the compilers and the
// package indexes, and nothing else of the machine or the network.
//
// Why      A package's own build script is code that nobody has read.
// How      bubblewrap (from Debian, needs no root): user, process, network and IPC namespaces of
//          their own; /usr, the interpreter and the code read-only, the folders of the one step
//          writable, homes and /tmp empty. The one way out is an IndexProxy, to which `samovar`
//          itself carries from a port inside. SAMOVAR_BUILD_SANDBOX=off builds as before, =require
//          refuses where bubblewrap does not work.
//          Caches: the user's own, which all builds share, are for steps that run no code but the
//          tool's; the others have caches of their project. So no build script can plant what
//          another project's build takes.
// Errors   kInvalid where it is required and does not work.
// Threads  One (the proxy has its own).

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "main/build_bounds.h"
#include "main/child_process.h"
#include "main/index_proxy.h"

namespace samovar {

struct BuildReach {
  std::string project;       // read-only
  std::string build_folder;  // read-only but for what a step makes
};

class BuildSandbox {
 public:
  explicit BuildSandbox(BuildReach reach) : reach_(std::move(reach)) {}

  // The call as it must be made to run inside, with at most so many processes; unchanged where
  // builds run without.
  Result<ChildCall> Inside(const ChildCall& call, const BuildBounds& bounds);
  // What its tools run in, made at the first; null where the caller may not make one.
  BuildGroup* Group(const BuildBounds& bounds);
  // For people, once: why they run without, where nobody asked for that. "" else.
  std::string TakeWarning() { return std::exchange(warning_, {}); }
  // Hosts that were asked for and are no index of this build, since the last call.
  std::set<std::string> TakeRefused();

 private:
  Result<void> Open();  // at the first call, as most deployments build nothing
  Result<void> Without(bool required, const std::string& reason);

  const BuildReach reach_;
  bool opened_ = false;
  std::string bwrap_;                 // "" where builds run without
  std::vector<std::string> nesting_;  // words that forbid namespaces of the build's own
  std::string warning_;
  std::unique_ptr<IndexProxy> proxy_;
  bool grouped_ = false;
  std::optional<BuildGroup> group_;
};

// Hosts that builds may reach: of the indexes that the environment and the project's files name,
// else the public ones; and those of SAMOVAR_BUILD_HOSTS.
std::set<std::string> BuildHosts(const std::string& project);

// What runs inside: carries from a port to the proxy's socket while the rest of the words run.
// `words`: SOCKET PROCESSES PROGRAM ARGUMENT... Returns the program's exit code.
int RunInsideBuild(int count, char** words);

// How the command line says that it is to be that.
inline constexpr std::string_view kInsideBuild = "inside-build";

}  // namespace samovar
