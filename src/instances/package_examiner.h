#pragma once
// PackageExaminer: has a version's package checked where it will run.
//
// Why      A package's files are a stranger's word, and reading them is a risk; and only the
//          sandbox itself shows which libraries a function will find.
// How      Starts our checker (src/packages) in a sandbox of its own that is made as the function's
//          are, a few at a time, and reads the report from its log. What was found of the same
//          packages, runtime and handler before is remembered. Findings go to the function's log.
// Errors   kUnavailable, kTimeout: the check was not made; nothing is said about the package.
// Threads  The event loop only.

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "functions/registry.h"
#include "instances/log_store.h"
#include "sandbox/sandbox.h"

namespace samovar {

class PackageExaminer {
 public:
  // How a version's check is run: PlanCheck of src/sandbox/launch_plan.h.
  using Planner = std::function<Result<SandboxSpec>(const Version& version, const std::string& id)>;

  PackageExaminer(const Clock& clock, SandboxHost& host, Planner planner, LogStore& logs);
  ~PackageExaminer();  // ends running checks; may come before their coroutines end

  // For RegistryOptions::examine.
  Task<Result<Examination>> Examine(VersionPtr version);

 private:
  struct State;
  static Task<Result<Examination>> Run(std::shared_ptr<State> state, SandboxSpec spec);
  static Task<Result<std::string>> Report(std::shared_ptr<State> state, SandboxSpec spec);
  void Log(const Version& version, const Examination& found);

  const Clock& clock_;
  const Planner planner_;
  LogStore& logs_;
  std::shared_ptr<State> state_;  // what coroutines hold
};

}  // namespace samovar
