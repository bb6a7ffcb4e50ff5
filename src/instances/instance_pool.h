#pragma once
// InstancePool: the instances of one version, and the line of those who wait for one.
//
// How      The most recently used idle instance serves next, so that what the load does not need
//          ends by itself; those of provisioned concurrency go before all others, a spare clone
//          where nothing is idle. An instance that takes several calls at a time is filled before
//          another is used. Who finds none waits in order of arrival; an instance that gets
//          free goes straight to the first in line. instance_pool.cc is the line, pool_starts.cc
//          how instances start, pool_ahead.cc what is kept ready: template, spares, provisioned.
// Errors   Wait: kOverloaded when the line is full or the deadline passes; what Create answered
//          when no sandbox can be made.
// Threads  The event loop only.

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "functions/provisioned.h"
#include "instances/books.h"
#include "instances/instance.h"
#include "instances/instance_service.h"
#include "instances/keep_alive.h"
#include "instances/scheduler.h"
#include "instances/signal.h"
#include "instances/spare_count.h"
#include "instances/template.h"

namespace samovar {

class InstancePool {
 public:
  // What a version's successor may begin with.
  struct Learned {
    KeepAlive keep_alive;
    Scheduler scheduler;
    SpareCount spares;
    MovingAverage start_memory;  // as nanoseconds: 1 ns stands for 1 KiB
    MovingAverage clone_memory;
    int capacity = 0;  // calls that an instance takes at a time, as the last one said; 0: not known
  };

  InstancePool(InstanceService& service, VersionPtr version, Learned learned);
  ~InstancePool();

  const VersionPtr& Subject() const { return version_; }
  Account& Books() { return account_; }
  const Learned& Experience() const { return learned_; }

  // Counts a request in and out: the time with none is what keep-alive learns from.
  class Visit {
   public:
    explicit Visit(InstancePool& pool);
    Visit(const Visit&) = delete;
    ~Visit();

   private:
    InstancePool& pool_;
  };

  // A place in an instance that the caller gives back with Release, or null. `alone`: of an
  // instance that runs nothing else.
  Instance* TakeIdle(bool alone = false);
  // The same, after a wait in line.
  Task<Result<Instance*>> Wait(Deadline deadline, bool alone = false);
  // How long the call took; nullopt where there was none, or it was cut off: then `broken`.
  void Release(Instance& instance, std::optional<std::chrono::nanoseconds> call_time, bool broken);

  bool WantsStart(SteadyTime now) const;
  // What the next start will count with.
  Bytes StartMemory() const;
  // Starts one more for those who wait; the version's template where it has none yet.
  void Begin();

  // Makes the template, if the version can have one, and waits for it. Errors: kTimeout, kTooLarge
  // (out of memory), kInvalid (its own code fails), kOverloaded where there is no room just now.
  Task<Result<void>> Prepare();
  // Waits for an instance that can serve, as a call would, and leaves it ready. Errors: as Prepare.
  Task<Result<void>> HaveOne(Deadline deadline);
  // How many instances provisioned concurrency wants ready.
  void SetProvisioned(int count);
  ProvisionedStatus Provisioned() const;
  // Starts and ends what is kept ready ahead of calls.
  void KeepReady(SteadyTime now);

  void Tick(SteadyTime now, bool sample_busy, bool sample_idle);
  void Retire();
  void KillAll(const Error& reason);
  // The instance idle for longest that may be ended, or null.
  Instance* LeastRecentlyUsed();
  void Evict(Instance& instance);
  bool HasSpare() const { return !spares_.empty(); }
  void DropSpare();
  // Its template serves nobody: no instance, no request.
  bool HasIdleTemplate() const;
  // What a template holds that leaves no room for a clone of it.
  Bytes TemplateMemory() const;
  void DropTemplate(std::chrono::nanoseconds wait);
  Bytes SpareMemory() const;
  bool HasReady() const;

  bool Retired() const { return retired_; }
  bool Unused() const { return instances_.empty() && waiters_.empty() && visitors_ == 0; }
  // Those that serve or will; without template and spares.
  std::size_t Size() const;
  std::size_t Waiting() const { return waiters_.size(); }
  std::size_t Busy() const { return busy_; }
  SteadyTime OldestWait() const;  // since when; max() where nobody waits
  SteadyTime LastUse() const;
  void AppendStatus(std::vector<InstanceStatus>& list, SteadyTime now) const;
  TemplateStatus DescribeTemplate(SteadyTime now) const;

  bool in_wanting = false;  // kept by the service: it stands in the list of those
  SteadyTime starved_since = SteadyTime::max();  // kept by the service: no memory for its start

 private:
  struct Waiter;
  using Place = std::list<std::unique_ptr<Instance>>::iterator;

  struct Order {
    Instance::Role role = Instance::Role::kOnDemand;
    std::chrono::nanoseconds init_limit{0};
    bool second_try = false;  // after a first initialisation that failed
    bool afresh = false;      // not a clone
  };

  // --- starts
  void Make(Order order);
  InstanceStart Plan(const Order& order, const std::string& id);
  std::string_view InitType(const Order& order) const;
  Task<void> Live(Instance* instance, Place place, InstanceStart start,
                  std::function<void()> started);
  void Started(Instance& instance);
  void TellTemplate(Instance& instance);
  void TemplateReady(Instance& instance);
  void Serve(Instance& instance);
  void StartFailed(Instance& instance);
  bool TryAgain(Instance& instance);
  Error PrepareError(const Instance& instance) const;
  Bytes FreshMemory() const;
  Bytes CloneMemory() const;
  bool MayBeCloned();
  bool MakesTemplate(SteadyTime now) { return MayBeCloned() && template_.MayMake(now); }
  std::chrono::nanoseconds LongInit() const;

  // --- the line
  Instance* TakeOpen();
  void Seat(Instance& instance, bool alone);
  void Fill(Instance& instance);
  std::size_t ExpectedCapacity() const;
  void Offer(Instance& instance);
  void Grant(Waiter& waiter, Instance& instance);
  Instance* TakeSpare(bool alone);
  void EndInstance(Instance& instance, bool ask);
  void Recount(Instance& instance, Bytes counts);
  void Sample(Instance& instance);
  void ExpireWaiters(SteadyTime now);
  void EndIdle(SteadyTime now);
  Waiter* PopWaiter();

  // --- ahead
  void KeepProvisioned(SteadyTime now);
  void KeepTemplate(SteadyTime now);
  void KeepSpares(SteadyTime now);
  std::size_t SparesWanted(SteadyTime now) const;
  bool PrewarmDue(SteadyTime now) const;
  void EndAhead();
  int ProvisionedSize() const;
  void NoteProvisionedFailure(const Instance& instance);

  InstanceService& service_;
  VersionPtr version_;
  Account& account_;
  Learned learned_;
  Template template_;
  std::list<std::unique_ptr<Instance>> instances_;
  std::vector<Instance*> idle_;              // the most recently used last
  std::vector<Instance*> provisioned_idle_;  // the same, of provisioned concurrency
  std::vector<Instance*> spares_;            // the newest last
  std::vector<Instance*> open_;              // busy, and able to take more calls
  std::list<Waiter*> waiters_;               // the first in line first; each owned by its coroutine
  std::size_t starting_ = 0;
  std::size_t busy_ = 0;
  std::size_t ending_ = 0;
  int visitors_ = 0;
  SteadyTime quiet_since_;
  bool retired_ = false;

  std::optional<bool> may_be_cloned_;  // what the launch plan says, once it was asked
  std::optional<Error> prepare_error_;
  std::string start_failure_;  // of the code, at the last start; "" where that went well
  Signal prepared_;
  int provisioned_ = 0;
  std::string provisioned_failure_;
  SteadyTime provisioned_retry_{};
  std::chrono::nanoseconds provisioned_wait_{0};
  SteadyTime spare_retry_{};
  SteadyTime spare_taken_{};
  bool prewarmed_ = false;  // since the last request
  bool keeping_ready_ = false;
};

}  // namespace samovar
