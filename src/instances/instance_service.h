#pragma once
// InstanceService: runs invocations, on as many instances as the traffic asks for.
//
// Why      Between zero and many, and back: an idle function costs nothing, a busy one starts what
//          it needs and no more, one function cannot starve the others.
// How      A pool a version (instance_pool.h) hands the most recently used idle instance to the
//          next request, or queues it; scheduler.h says when a start is worth it. Starts are
//          bounded together, memory by a budget (the least recently used idle instance goes first).
//          One ticker looks after all deadlines, so that a call sets no timer of its own; a timeout
//          may come 20 ms late. docs/scaling.md tells it whole.
// Errors   Those of Invoker::Invoke.
// Threads  The event loop only.

#include <boost/asio/basic_waitable_timer.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"
#include "instances/books.h"
#include "instances/concurrency_limits.h"
#include "instances/invocation.h"
#include "instances/keep_alive.h"
#include "instances/log_store.h"
#include "instances/provisioned.h"
#include "instances/template.h"
#include "net/task_group.h"
#include "sandbox/sandbox.h"

namespace samovar {

// How a version is run: src/sandbox/launch_plan.h.
using LaunchPlanner =
    std::function<Result<SandboxSpec>(const Version& version, const std::string& instance_id)>;

struct InstanceOptions {
  int account_concurrency = 1000;
  // What all functions have reserved together; where null, what their invocations told so far.
  std::function<int()> reserved_total;
  Bytes memory_budget = Bytes::GiB(4);  // of all instances together
  Bytes memory_floor = Bytes::MiB(16);  // an instance counts with at least this
  Bytes clone_memory_floor =
      Bytes::MiB(6);  // a clone, whose pages are its template's until written
  std::size_t queue_per_function = 10'000;
  std::size_t queue_total = 50'000;
  std::size_t max_spares = 32;  // of one version
  KeepAlivePolicy keep_alive;
  bool busy_poll = false;    // runtimes may look for their next event before they sleep
  int cores = 0;             // 0: this host's
  int starts_at_a_time = 0;  // 0: twice the cores
  std::chrono::seconds init_timeout{10};
  // Where no request waits for it: of provisioned concurrency, and of SnapStart's versions.
  std::chrono::seconds init_timeout_ahead{130};
  Bytes max_response{6 * 1024 * 1024 + 100};  // buffered; AWS's own bound
};

struct InstanceStatus {
  std::string id;
  std::string function;
  std::string version;
  std::string_view state;  // "starting", "idle", "busy", "ending", "spare", "template"
  std::string_view kind;   // how it was made: "fresh", "clone", "template"
  bool provisioned = false;
  Bytes memory;
  std::chrono::nanoseconds age{0};
  std::chrono::nanoseconds idle{0};  // 0 unless idle
  std::uint64_t invocations = 0;
};

// What a version's instances are cloned of, or why they are not.
struct TemplateStatus {
  std::string function;
  std::string version;
  std::string_view stage;  // "none", "initialising", "clonable", "not clonable", "off"
  std::vector<CloneObstacle> obstacles;
  Bytes memory;  // the platform's, not the function's
  std::chrono::nanoseconds age{0};
  std::size_t clones = 0;  // living, spares included
  std::size_t spares = 0;
  std::size_t spares_wanted = 0;
  Bytes spare_memory;
  std::string failure;  // why its last start failed, where nothing of it can serve; "" otherwise
};

class InstancePool;
struct InstanceContext;

class InstanceService final : public Invoker, public ProvisionedConcurrency {
 public:
  InstanceService(Executor loop, const Clock& clock, InstanceOptions options, SandboxHost& host,
                  LaunchPlanner planner, LogStore& logs, Books& books);
  ~InstanceService() override;  // REQUIRES: Drain() was awaited, or the loop no longer runs

  void Start();  // begins to tick, and to write the books every second

  Task<Result<InvocationResult>> Invoke(Invocation invocation, ResponseSink* sink) override;

  // Instances of this Version::Key serve no new calls; each ends when its call has. For
  // Registry::OnRetired.
  void Retire(const std::string& version_key);
  // Initialises the template of a version before anybody calls it, where it can have one. For
  // RegistryOptions::prepare, whose errors it answers.
  Task<Result<void>> Prepare(VersionPtr version);
  // Has an instance of `to` ready, so that it can take the calls of `from` over: where that one has
  // instances, else nothing is done. For RegistryOptions::before_turn. Errors: kInvalid where `to`
  // is a model that cannot be loaded. That there is no room for one just now is no error.
  Task<Result<void>> TakeOver(VersionPtr from, VersionPtr to);
  void SetTargets(std::vector<ProvisionedTarget> targets) override;
  ProvisionedStatus Status(const std::string& version_key) const override;

  // Refuses new calls, lets the running and queued ones finish until the deadline, then kills;
  // writes the books a last time.
  Task<void> Drain(Deadline deadline);

  std::vector<InstanceStatus> Instances() const;
  std::vector<TemplateStatus> Templates() const;
  Bytes MemoryInUse() const { return memory_used_ + BootedMemory(); }
  Bytes MemoryBudget() const { return options_.memory_budget; }
  void SetMemoryBudget(Bytes budget) { options_.memory_budget = budget; }
  std::size_t Queued() const { return queued_; }
  int Running() const { return limits_.Running(); }
  // Counts the begin and the end of each call. For BusyPoll.
  std::uint64_t CallSigns() const { return 2 * begun_ - static_cast<unsigned>(Running()); }
  // samovar_instances and the like, to go after Books::MetricsText().
  std::string MetricsText() const;

  // One turn of the ticker; tests call it.
  void Tick();

 private:
  friend class InstancePool;
  using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>, Executor>;

  InstancePool& PoolOf(const VersionPtr& version);
  Task<Result<InvocationResult>> InvokeAdmitted(Invocation& invocation, ResponseSink* sink,
                                                InstancePool& pool);
  Task<void> TickLoop();
  Task<void> WriteBooks();
  void Want(InstancePool& pool);  // it may want a start
  // Starts what pools want, as far as memory and the bound on starts let it.
  void StartWanted();
  void StartBeyondBound(SteadyTime now);
  // Whether `need` more fits the budget, for a start of `who` (or null); ends what is worth less:
  // spares and processes booted ahead, then templates of idle functions, then idle instances.
  bool MakeRoom(Bytes need, const InstancePool* who);
  bool DropSpare();
  bool DropBooted();
  bool DropIdleTemplate(const InstancePool* who);
  bool EvictIdle();
  // A template that leaves no room for its own clone gives way to a fresh instance.
  void DropTemplateThatFillsTheBudget(InstancePool& pool);
  bool MayStart() const { return starting_ < options_.starts_at_a_time; }
  // No start is under way, or those which are stand still.
  bool StartsStand(SteadyTime now) const;
  bool Fits(Bytes need) const { return MemoryInUse() + need <= options_.memory_budget; }
  // Whether the host may keep a process booted for starts like this one. What it may keep counts.
  bool MayBootAhead(const SandboxSpec& spec);
  // A start of this kind took over a process that had so much memory; 0 where it took none.
  void LearnBooted(std::string_view kind, Bytes memory);
  // What the host tells processes booted ahead apart by, near enough.
  static std::string BootKind(const SandboxSpec& spec);
  Bytes BootedMemory() const;
  bool MaySpare(Bytes need) const;
  // Of a function that has no pool any more.
  void ForgetLimits(const std::string& function);
  // Whether an instance of this pool, just free, must end so that another pool can start.
  bool MustGiveWay(const InstancePool& pool) const;
  void ForgetRetiredPools();
  bool MayBusyPoll(const Version& version) const;
  InstanceContext Context();

  Executor loop_;
  const Clock& clock_;
  InstanceOptions options_;
  SandboxHost& host_;
  LaunchPlanner planner_;
  LogStore& logs_;
  Books& books_;
  ConcurrencyLimits limits_;

  std::unordered_map<std::string, std::unique_ptr<InstancePool>> pools_;  // by Version::Key
  std::unordered_map<const Version*, InstancePool*> by_pointer_;          // a short cut
  std::list<InstancePool*> wanting_;  // pools that want a start, longest waiting first
  std::uint64_t begun_ = 0;           // calls admitted
  std::size_t queued_ = 0;
  int starting_ = 0;
  SteadyTime starts_moved_{};  // when a start last began or ended
  Bytes memory_used_;          // by all instances
  Bytes ending_memory_;        // of that, by those which are ending
  bool starved_ = false;       // some pool has no instance, and no memory for one
  struct Booted {
    std::string kind;
    Bytes memory;
  };
  std::list<Booted> booted_;  // processes that the host keeps, the last used first
  SteadyTime boot_again_{};   // none before: memory was short just now
  std::int64_t log_allowance_ = 0;
  SteadyTime next_sample_;
  unsigned samples_ = 0;
  bool draining_ = false;
  bool in_start_wanted_ = false;
  bool slow_ticks_ = true;
  Timer ticker_;
  TaskGroup tasks_;
};

}  // namespace samovar
