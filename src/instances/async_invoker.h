#pragma once
// AsyncInvoker: the durable queue behind InvocationType Event.
//
// Why      The 202 is a promise: the event runs at least once, whatever happens to the process.
// How      Enqueue writes the event to the store and returns after the sync. A bounded number of
//          workers a function takes what is due, runs it through the Invoker, and then either
//          writes the next attempt, or, in ONE batch, removes the event and puts its destination
//          records into the queues of the functions they go to. So a crash at any point repeats,
//          never loses. Payloads stay on disk until they run.
// Units    Due times are wall-clock, as they outlive the process.
// Errors   Enqueue: kThrottled (429) when the function's queue is full, kUnavailable when the disk
//          refuses.
// Threads  The event loop only; Load blocks.
// Source   Lambda developer guide, "Asynchronous invocation": two retries after 1 and 2 minutes,
//          throttles retried from 1 second up to 5 minutes until the maximum age.

#include <boost/asio/basic_waitable_timer.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/blocking.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"
#include "functions/registry.h"
#include "instances/async_event.h"
#include "instances/invocation.h"
#include "net/task_group.h"
#include "store/kv_store.h"

namespace samovar {

struct AsyncOptions {
  std::chrono::milliseconds retry_backoff{60'000};    // before the first retry; doubles
  std::chrono::milliseconds throttle_backoff{1'000};  // doubles up to throttle_backoff_max
  std::chrono::milliseconds throttle_backoff_max{300'000};
  std::chrono::seconds queue_wait{60};          // of one attempt, for an instance
  std::chrono::milliseconds disk_retry{1'000};  // after a write that failed
  int workers_per_function = 64;
  std::size_t max_events = 1'000'000;  // all functions together
  std::size_t max_events_per_function = 100'000;
  Bytes max_bytes_per_function = Bytes::GiB(2);
};

struct AsyncStats {
  std::uint64_t queued = 0;  // now
  std::uint64_t delivered = 0;
  std::uint64_t failed = 0;         // gave up: retries, age or zero concurrency
  std::uint64_t retried = 0;        // after a function error
  std::uint64_t throttled = 0;      // put back, as no instance was to be had
  std::uint64_t dropped = 0;        // the function is gone
  std::uint64_t undeliverable = 0;  // destinations that are no function
};

class AsyncInvoker {
 public:
  AsyncInvoker(Executor loop, BlockingPool& pool, KvStore& store, const Clock& clock,
               AsyncOptions options, Invoker& invoker, Registry& registry);
  ~AsyncInvoker();  // REQUIRES: Stop() was awaited, or the loop no longer runs

  Result<void> Load();  // what earlier runs left; before Start
  void Start();
  // Takes no new events, waits for those that run until the deadline; the rest stays on disk.
  Task<void> Stop(Deadline deadline);

  // Returns after the event is on disk. queue_deadline of the invocation is not used.
  Task<Result<void>> Enqueue(Invocation invocation);
  // Forgets the events of a function that is gone. For Registry::OnRetired, whose keys begin with
  // the function's name; does nothing while the function exists.
  void DropIfDeleted(const std::string& version_key);

  AsyncStats Stats() const;
  std::size_t Functions() const { return queues_.size(); }  // that have events
  std::string MetricsText() const;

  // Runs what is due; tests call it.
  void Tick();

 private:
  // An event in memory: all but its payload, which stays on disk until it runs.
  struct Pending {
    std::string function;
    std::uint64_t sequence = 0;
    std::size_t size = 0;  // of its value on disk
    int throttled = 0;     // times it was put back for want of an instance
  };
  struct Queue {
    std::multimap<WallTime, Pending> waiting;  // by due time
    int running = 0;
    std::size_t bytes = 0;   // of all its events on disk
    std::size_t events = 0;  // waiting and running
  };
  // What goes to disk in one batch, and what the queues then hold.
  struct Change {
    WriteBatch batch;
    std::vector<std::pair<WallTime, Pending>> added;
  };
  using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>, Executor>;

  void Dispatch(const std::string& function);
  Task<void> TickLoop();
  Task<void> Run(Pending event);
  // What the event's turn came to: nullopt when it is over, else when it is due again.
  Task<std::optional<WallTime>> Turn(Pending& event);
  Task<std::optional<WallTime>> Attempt(Pending& event, AsyncEvent& stored);
  Task<std::optional<WallTime>> Retry(Pending& event, AsyncEvent& stored, const AsyncPolicy& policy,
                                      AsyncOutcome outcome);
  Task<std::optional<WallTime>> PutBack(Pending& event, const AsyncEvent& stored,
                                        const AsyncPolicy& policy, const std::string& arn);
  // Removes the event and queues what its destinations get, in one batch.
  Task<std::optional<WallTime>> Settle(const Pending& event, const AsyncEvent& stored,
                                       const AsyncPolicy& policy, const std::string& arn,
                                       AsyncOutcome outcome);
  Task<std::optional<WallTime>> Drop(const Pending& event, std::string_view why);
  void AddDestination(Change& change, const std::string& target_arn, AsyncEvent event);
  AsyncEvent DeadLetter(const AsyncEvent& stored, const AsyncOutcome& outcome) const;
  // Tries until the disk takes it, or the server stops: then the event stays as it was.
  Task<bool> Write(Change change);
  Task<Result<void>> WriteOnce(WriteBatch batch);
  bool HasRoom(const std::string& function, std::size_t size) const;
  void Count(const Pending& event);
  void ForgetIfEmpty(const std::string& function);
  void Insert(WallTime due, Pending event);
  void Remove(const Pending& event);

  Executor loop_;
  BlockingPool& pool_;
  KvStore& store_;
  const Clock& clock_;
  AsyncOptions options_;
  Invoker& invoker_;
  Registry& registry_;
  std::map<std::string, Queue> queues_;  // by function
  std::uint64_t next_sequence_ = 1;
  AsyncStats stats_;
  bool started_ = false;
  bool stopping_ = false;
  int running_ = 0;
  Timer ticker_;
  TaskGroup tasks_;
};

}  // namespace samovar
