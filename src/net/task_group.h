#pragma once
// TaskGroup: the owner of coroutines that run beside the caller.
//
// Why      Nothing is detached: whoever spawns also waits.
// How      Spawn starts a Task on the loop. Stop() first asks every task to end (asio cancellation,
//          type terminal), then waits for all of them; Spawn after Stop() is a no-op.
// Threads  The event loop only.

#include <cstddef>
#include <memory>

#include "base/task.h"

namespace samovar {

class TaskGroup {
 public:
  explicit TaskGroup(Executor loop);
  ~TaskGroup();  // REQUIRES: Stop() was awaited, or the loop no longer runs

  void Spawn(Task<void> task);
  Task<void> Stop();
  std::size_t Running() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace samovar
