#pragma once
// PlanLaunch: how one instance of a version is started: its program, environment, mounts and
// limits.
//
// Source   Lambda's reserved environment variables and their values (AWS Lambda developer guide,
//          "Using environment variables"); 1,769 MB are one CPU.
// How      The platform's variables win over the user's, the user's over defaults
//          (docs/runtimes.md).
// Errors   kInvalid with Lambda's own error name for what a call must report: a `provided` function
//          without a bootstrap that can be run is Runtime.InvalidEntrypoint.
// Threads  Pure, but for a look at the package for `bootstrap`.

#include <string>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "functions/version.h"
#include "sandbox/runtime_catalog.h"
#include "sandbox/sandbox.h"

namespace samovar {

struct LaunchOptions {
  std::string region = "us-east-1";
  std::string runtimes_dir;  // holds python/, nodejs/, onnx/ and check/
  bool egress_by_default = false;
  // Plans are of templates that are cloned, where runtime and version allow it.
  bool clones = false;
  // No numeric library is told to use more threads than this.
  int host_cpus = static_cast<int>(std::thread::hardware_concurrency());
};

Result<SandboxSpec> PlanLaunch(const Version& version, const Runtime& runtime,
                               const std::string& instance_id, WallTime now,
                               const LaunchOptions& options);

// How the version's package is checked (src/packages): by our checker, in the place of the
// function's program, with its root, mounts and processor, and with none of its environment.
SandboxSpec PlanCheck(const Version& version, const Runtime& runtime, const std::string& check_id,
                      const LaunchOptions& options);

}  // namespace samovar
