#pragma once
// Instance: one sandbox with one runtime in it, from its start to its end.
//
// How      The pool spawns Live(), which makes the sandbox, waits for its end, and answers when
//          nobody uses the instance any more; the pool then destroys it. Init and calls go through
//          the worker beside that. Deadlines are only noted here; CheckDeadline, called by the
//          service's ticker, enforces them by killing.
// Errors   A start that fails leaves a StartFailure, which the next Run() turns into the answer
// that
//          Lambda gives. Run answers nullopt where the event was not begun and can go elsewhere.
// Threads  The event loop only.
// Source   Lambda developer guide, "Lambda runtime environment lifecycle"; recorded answers.

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "instances/instance_service.h"
#include "instances/invocation.h"
#include "instances/log_capture.h"
#include "instances/signal.h"
#include "instances/worker.h"
#include "sandbox/sandbox.h"

namespace samovar {

// What an instance needs from the house around it; all outlive it.
struct InstanceContext {
  Executor loop;
  const Clock& clock;
  SandboxHost& host;
  LogStore& logs;
  TaskGroup& tasks;
  std::int64_t& log_allowance;
  Bytes max_response;
};

// How the sandbox's end reads in Lambda's words.
struct ExitDescription {
  std::string_view error_type;  // "Runtime.ExitError", "Runtime.OutOfMemory"
  std::string text;             // "Runtime exited with error: exit status 1"
};
ExitDescription DescribeExit(const SandboxExit& exit);

class Instance {
 public:
  enum class State : std::uint8_t { kStarting, kIdle, kBusy, kEnding };

  struct StartFailure {
    std::optional<Error> error = {};  // no sandbox could be made
    bool timed_out = false;
    WorkerReply reply = {};  // else: what the runtime said, or kGone
  };

  Instance(InstanceContext context, VersionPtr version, std::string id,
           std::chrono::nanoseconds init_limit);

  // The whole life. `started` is called once, when initialisation has succeeded or failed.
  Task<void> Live(Result<SandboxSpec> spec, std::function<void()> started);
  // REQUIRES: the state is kBusy.
  Task<std::optional<InvocationResult>> Run(Invocation& call, ResponseSink* sink);

  void MarkIdle();
  void MarkBusy() { state_ = State::kBusy; }
  // Ends it: at once, or asking the runtime first.
  void End(bool ask);
  // Kills where a deadline has passed. One turn of the ticker.
  void CheckDeadline(SteadyTime now);
  // Reads the memory in use; returns what it counts with.
  Bytes SampleMemory(Bytes floor);

  const std::string& Id() const { return id_; }
  State Phase() const { return state_; }
  bool Usable() const { return usable_; }
  const std::optional<StartFailure>& Failure() const { return failure_; }
  std::chrono::nanoseconds InitDuration() const { return init_; }
  SteadyTime Born() const { return born_; }
  SteadyTime IdleSince() const { return idle_since_; }
  std::uint64_t Invocations() const { return invocations_; }
  Bytes Memory() const { return memory_; }

  Bytes counted;  // kept by the service: what it holds of the memory budget

 private:
  class Use;

  Task<void> Initialise(std::function<void()> started);
  Task<void> ReadLog();
  Task<void> Ask();
  Task<void> WaitForExit();
  void MakeWorker(const SandboxSpec& spec);
  static StartFailure WhyNotMade(Error error);
  void FailStart(StartFailure failure, const std::function<void()>& started);
  void LogFailedInit();
  InvocationResult Interpret(const Invocation& call, WorkerReply reply);
  InvocationResult TimedOut(const Invocation& call);
  InvocationResult Exited(const Invocation& call, const WorkerReply& reply);
  void LogStart(const Invocation& call);
  void LogEnd(const Invocation& call, InvocationResult& result);

  InstanceContext context_;
  VersionPtr version_;
  std::string id_;
  State state_ = State::kStarting;
  bool usable_ = true;  // false: broken, timed out, or its process is gone
  bool timed_out_ = false;
  bool first_call_ = true;
  SteadyTime born_;
  SteadyTime idle_since_;
  SteadyTime deadline_;                     // of initialisation or of the call
  SteadyTime kill_at_ = SteadyTime::max();  // asked to end: by then it must have
  std::chrono::nanoseconds init_{0};
  std::uint64_t invocations_ = 0;
  SteadyTime sampled_{};
  Bytes memory_;      // as last read
  Bytes max_memory_;  // the most seen
  std::optional<StartFailure> failure_;

  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<LogCapture> log_;
  std::unique_ptr<Worker> worker_;
  std::optional<SandboxExit> exit_;
  int users_ = 0;  // coroutines that refer to this
  Signal changed_;
};

}  // namespace samovar
