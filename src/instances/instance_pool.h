#pragma once
// InstancePool: the instances of one version, and the line of those who wait for one.
//
// How      The most recently used idle instance serves next, so that what the load does not need
// ends
//          by itself. Who finds none idle waits in order of arrival; an instance that gets free
//          goes straight to the first in line.
// Errors   Wait: kOverloaded when the line is full or the deadline passes; what Create answered
// when
//          no sandbox can be made.
// Threads  The event loop only.

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "instances/books.h"
#include "instances/instance.h"
#include "instances/keep_alive.h"
#include "instances/scheduler.h"
#include "instances/signal.h"

namespace samovar {

class InstancePool {
 public:
  // What a version's successor may begin with.
  struct Learned {
    KeepAlive keep_alive;
    Scheduler scheduler;
    MovingAverage start_memory;  // as nanoseconds: 1 ns stands for 1 KiB
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

  // A busy instance that the caller gives back with Release, or null.
  Instance* TakeIdle();
  // The same, after a wait in line.
  Task<Result<Instance*>> Wait(Deadline deadline);
  // How long the call took; nullopt where there was none, or it was cut off: then `broken`.
  void Release(Instance& instance, std::optional<std::chrono::nanoseconds> call_time, bool broken);

  bool WantsStart(SteadyTime now) const;
  Bytes StartMemory() const;
  // Starts one more. `init_limit` is the time for its initialisation.
  void Begin(std::chrono::nanoseconds init_limit, bool retry);

  void Tick(SteadyTime now, bool sample_busy, bool sample_idle);
  void Retire();
  void KillAll(const Error& reason);
  // The instance idle for longest, or null.
  Instance* LeastRecentlyUsed();
  void Evict(Instance& instance);

  bool Retired() const { return retired_; }
  bool Unused() const { return instances_.empty() && waiters_.empty() && visitors_ == 0; }
  std::size_t Size() const { return instances_.size() - ending_; }
  std::size_t Waiting() const { return waiters_.size(); }
  std::size_t Busy() const { return busy_; }
  SteadyTime OldestWait() const;  // since when; max() where nobody waits
  void AppendStatus(std::vector<InstanceStatus>& list, SteadyTime now) const;

  bool in_wanting = false;  // kept by the service: it stands in the list of those
  SteadyTime starved_since = SteadyTime::max();  // kept by the service: no memory for its start

 private:
  struct Waiter;
  using Place = std::list<std::unique_ptr<Instance>>::iterator;

  Task<void> Live(Instance* instance, Place place, std::function<void()> started);
  void Started(Instance& instance, bool retry);
  void StartFailed(Instance& instance, bool retry);
  void Offer(Instance& instance);
  void EndInstance(Instance& instance, bool ask);
  void Recount(Instance& instance, Bytes counts);
  void ExpireWaiters(SteadyTime now);
  void EndIdle(SteadyTime now);
  Waiter* PopWaiter();

  InstanceService& service_;
  VersionPtr version_;
  Account& account_;
  Learned learned_;
  std::list<std::unique_ptr<Instance>> instances_;
  std::vector<Instance*> idle_;  // the most recently used last
  std::list<Waiter*> waiters_;   // the first in line first; each owned by its coroutine
  std::size_t starting_ = 0;
  std::size_t busy_ = 0;
  std::size_t ending_ = 0;
  int visitors_ = 0;
  SteadyTime quiet_since_;
  bool retired_ = false;
};

}  // namespace samovar
