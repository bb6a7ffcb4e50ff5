#pragma once
// Instance: one sandbox with one runtime in it, from its start to its end.
//
// How      The pool spawns Live(), which makes the sandbox (a fresh one, or a clone of its
//          version's template, or a fresh one where there is no clone to be had), waits for its
//          end, and answers when nobody uses the instance any more; the pool then destroys it. Init
//          and calls go through the worker beside that. Deadlines are only noted here;
//          CheckDeadline, called by the service's ticker, enforces them by killing.
// Errors   A start that fails leaves a StartFailure, which the next Run() turns into the answer
//          that Lambda gives. Run answers nullopt where the event was not begun and can go
//          elsewhere.
// Threads  The event loop only.
// Source   Lambda developer guide, "Lambda runtime environment lifecycle"; recorded answers.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

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

class Instance;

// How an instance comes to be.
struct InstanceStart {
  Result<SandboxSpec> spec;  // of a fresh process
  // Where set, it is cloned from this one if that can be done.
  Instance* parent = nullptr;
  std::shared_ptr<void> parent_lease = {};  // keeps it
  std::vector<std::string> clone_env = {};
};

class Instance {
 public:
  enum class State : std::uint8_t { kStarting, kIdle, kBusy, kEnding, kSpare, kTemplate };
  // What it is kept for.
  enum class Role : std::uint8_t { kOnDemand, kProvisioned, kSpare, kTemplate };

  struct StartFailure {
    std::optional<Error> error = {};  // no sandbox could be made
    bool timed_out = false;
    WorkerReply reply = {};  // else: what the runtime said, or kGone
  };

  Instance(InstanceContext context, VersionPtr version, std::string id,
           std::chrono::nanoseconds init_limit);

  // The whole life. `started` is called once, when initialisation has succeeded or failed.
  Task<void> Live(InstanceStart start, std::function<void()> started);
  // Keeps it from being destroyed while the lease lives.
  std::shared_ptr<void> Keep();
  // REQUIRES: the state is kBusy. Several may run at a time, up to Capacity().
  Task<std::optional<InvocationResult>> Run(Invocation& call, ResponseSink* sink);

  // A call takes one of its places, and leaves it.
  void Enter() { ++calls_; }
  void Leave();
  int Calls() const { return calls_; }
  int Capacity() const { return worker_ ? worker_->Capacity() : 1; }
  bool Full() const { return alone || calls_ >= Capacity(); }

  void MarkIdle();
  void MarkBusy() { state_ = State::kBusy; }
  void MarkSpare() { state_ = State::kSpare; }
  void MarkTemplate() { state_ = State::kTemplate; }
  // How its first call finds it, and what that call waited; called before it.
  void SetFirst(StartKind kind, std::chrono::nanoseconds waited);
  // Ends it: at once, or asking the runtime first.
  void End(bool ask);
  // Kills where a deadline has passed. One turn of the ticker.
  void CheckDeadline(SteadyTime now);
  // Reads the memory in use; returns what it counts with.
  Bytes SampleMemory(Bytes floor);

  const std::string& Id() const { return id_; }
  State Phase() const { return state_; }
  bool Usable() const { return usable_; }
  bool Made() const { return sandbox_ != nullptr; }  // there was a process
  bool Cloned() const { return cloned_; }
  // Why it was started afresh although it was to be a clone.
  const std::optional<Error>& CloneError() const { return clone_error_; }
  // What the runtime said after it was ready: of a template.
  std::string TakeReport() { return std::exchange(report_, {}); }
  const std::optional<StartFailure>& Failure() const { return failure_; }
  // REQUIRES: its initialisation failed by itself, in time.
  ExitDescription WhyItFailed() const;
  std::chrono::nanoseconds InitDuration() const { return init_; }
  SteadyTime Born() const { return born_; }
  SteadyTime IdleSince() const { return idle_since_; }
  std::uint64_t Invocations() const { return invocations_; }
  Bytes Memory() const { return memory_; }
  // What the process that was booted ahead for it had when it took that over, or 0.
  Bytes BootedMemory() const { return sandbox_ ? sandbox_->BootedMemory() : Bytes{}; }

  Bytes counted;                // kept by the service: what it holds of the memory budget
  Role role = Role::kOnDemand;  // kept by the pool
  bool alone = false;           // kept by the pool: its call is to have no company
  bool second_try = false;      // kept by the pool: its first initialisation has failed
  std::string boot_kind = {};   // kept by the pool: where a process booted ahead may serve

 private:
  class Use;
  class CallDeadline;

  Task<Result<std::unique_ptr<Sandbox>>> Make(InstanceStart& start);
  Task<Result<std::unique_ptr<Sandbox>>> Clone(CloneSpec spec);
  Task<void> Initialise(std::function<void()> started);
  Task<void> ReadLog();
  Task<void> ReadAnswers();
  bool EndedByAnother(SteadyTime deadline) const;
  Task<void> Ask();
  Task<void> WaitForExit();
  void MakeWorker(const SandboxSpec& spec);
  static StartFailure WhyNotMade(Error error);
  void FailStart(StartFailure failure, const std::function<void()>& started);
  void LogFailedInit();
  void LogRestored();
  // A worker with several calls ends one whose time is up by itself, and goes on.
  bool WorkerTimedOut(const WorkerReply& reply) const;
  InvocationResult Interpret(const Invocation& call, WorkerReply reply,
                             LogCapture::Tail* tail = nullptr);
  InvocationResult TimedOut(const Invocation& call);
  InvocationResult Exited(const Invocation& call, const WorkerReply& reply, LogCapture::Tail* tail);
  void LogStart(const Invocation& call, LogCapture::Tail* tail = nullptr);
  void LogEnd(const Invocation& call, InvocationResult& result, LogCapture::Tail* tail = nullptr);

  InstanceContext context_;
  VersionPtr version_;
  std::string id_;
  State state_ = State::kStarting;
  bool usable_ = true;  // false: broken, timed out, or its process is gone
  bool timed_out_ = false;
  bool first_call_ = true;
  SteadyTime born_;
  SteadyTime idle_since_;
  SteadyTime deadline_;  // of initialisation, or the first of the calls'
  std::multiset<SteadyTime> call_deadlines_;
  int calls_ = 0;                           // that hold a place
  int ended_with_ = 0;                      // calls that it had when its worker's channel ended
  SteadyTime kill_at_ = SteadyTime::max();  // asked to end: by then it must have
  std::chrono::nanoseconds init_limit_;
  std::chrono::nanoseconds init_{0};
  StartKind first_kind_ = StartKind::kFresh;
  std::optional<std::chrono::nanoseconds> first_wait_;  // where not init_
  bool cloned_ = false;
  std::optional<Error> clone_error_;
  std::string report_;
  std::uint64_t invocations_ = 0;
  SteadyTime sampled_{};
  Bytes memory_;         // as last read
  Bytes max_memory_;     // the most seen
  Bytes shared_memory_;  // a clone's: what its template held when it was made
  std::optional<StartFailure> failure_;

  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<LogCapture> log_;
  std::unique_ptr<Worker> worker_;
  std::optional<SandboxExit> exit_;
  int users_ = 0;  // coroutines that refer to this
  Signal changed_;
};

}  // namespace samovar
