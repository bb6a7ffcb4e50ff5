#pragma once
// InstancePool::Waiter: one request's place in a version's line.
// Threads  The event loop only. Only for the files of InstancePool.

#include <list>
#include <optional>
#include <utility>

#include "instances/instance_pool.h"
#include "instances/signal.h"

namespace samovar {

struct InstancePool::Waiter {
  Waiter(InstancePool& owner, Deadline until, bool by_itself)
      : pool(owner),
        deadline(until),
        alone(by_itself),
        since(owner.service_.clock_.Now()),
        signal(owner.service_.loop_) {
    place = pool.waiters_.insert(pool.waiters_.end(), this);
    ++pool.service_.queued_;
  }
  Waiter(const Waiter&) = delete;
  ~Waiter() {
    Leave();
    if (granted) pool.Release(*granted, std::nullopt, false);  // its caller was ended meanwhile
  }
  void Leave() {
    if (!std::exchange(in_line, false)) return;
    pool.waiters_.erase(place);
    --pool.service_.queued_;
  }
  void Refuse(Error why) {
    Leave();
    error = std::move(why);
    signal.Notify();
  }

  InstancePool& pool;
  Deadline deadline;
  bool alone;  // it must be the only call in its instance
  SteadyTime since;
  std::list<Waiter*>::iterator place;
  bool in_line = true;
  Instance* granted = nullptr;
  std::optional<Error> error;
  Signal signal;
};

}  // namespace samovar
