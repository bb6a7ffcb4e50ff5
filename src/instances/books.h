#pragma once
// Books: what each version of each function has done and used.
//
// Why      The user sees what a function costs here and would cost on AWS; the numbers must survive
//          a restart.
// How      Counters in memory, changed by whoever runs invocations; written to the store about
//          every second and at Flush(). A kill -9 may lose the last second's counts, never more.
// Units    std::chrono and Bytes; memory-time is whole MiB-milliseconds, so that sums are exact.
// Errors   Open and Flush pass on the store's. A count that cannot be read back is refused by name.
// Threads  The event loop only. Open and Write block.
// Source   Metric names: docs of Prometheus ("one prefix, base units"); buckets: OpenTelemetry
//          FaaS.

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/blocking.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"
#include "functions/version.h"
#include "instances/invocation.h"
#include "store/kv_store.h"

namespace samovar {

// A latency histogram with OpenTelemetry's buckets for functions.
struct DurationHistogram {
  static constexpr std::array<double, 14> kBounds{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                                  0.5,   0.75, 1,     2.5,  5,     7.5, 10};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  // the last: above all bounds
  std::chrono::nanoseconds sum{0};
  void Add(std::chrono::nanoseconds value);
};

// The counters of one function and version.
struct Account {
  std::string function;
  std::string version;
  std::uint64_t invocations = 0;  // that ran, whatever came of them
  std::uint64_t errors = 0;       // function errors, timeouts included
  std::uint64_t throttles = 0;    // refused with 429
  std::uint64_t timeouts = 0;
  std::uint64_t cold_starts = 0;
  std::uint64_t clones = 0;  // of those, from a clone made for the call
  std::uint64_t spares = 0;  // of those, from a clone that was ready
  std::chrono::nanoseconds duration{0};
  std::chrono::milliseconds billed{0};
  std::chrono::nanoseconds init{0};
  std::uint64_t memory_time = 0;   // MiB x billed ms, of the configured memory
  std::uint64_t storage_time = 0;  // MiB x billed ms, of /tmp above 512 MiB
  Bytes max_memory;                // the most one instance used
  Bytes memory;                    // as last configured

  // Since this process began; not kept.
  DurationHistogram durations;
  DurationHistogram inits;  // from nothing
  DurationHistogram clone_inits;
  DurationHistogram spare_inits;

  double GbSeconds() const { return static_cast<double>(memory_time) / 1024 / 1000; }
  double StorageGbSeconds() const { return static_cast<double>(storage_time) / 1024 / 1000; }
};

class Books {
 public:
  // Reads what `store` holds under "books/".
  static Result<std::unique_ptr<Books>> Open(KvStore& store, const Clock& clock);

  // The account of a version; valid as long as the books.
  Account& For(const Version& version);
  void Record(Account& account, const Version& version, const InvocationResult& result);
  void RecordThrottle(Account& account);

  // Sorted by function, then version; of one function where it is named.
  std::vector<const Account*> List(std::string_view function = {}) const;
  WallTime Since() const { return since_; }  // when counting began

  // Writes what changed; on the pool.
  Task<Result<void>> Flush(BlockingPool& pool);
  // samovar_invocations_total and the rest, in Prometheus text form.
  std::string MetricsText() const;

 private:
  Books(KvStore& store, WallTime since) : store_(store), since_(since) {}
  Result<void> Load();

  KvStore& store_;
  WallTime since_;
  bool since_written_ = false;
  // By function and version. A map, as accounts are pointed to.
  std::map<std::pair<std::string, std::string>, Account> entries_;
  std::unordered_set<const Account*> dirty_;  // changed since they were last written
};

// "name{label="value",...} number\n", with the label values escaped as Prometheus wants them.
void AppendMetric(std::string& out, std::string_view name,
                  std::initializer_list<std::pair<std::string_view, std::string_view>> labels,
                  double value);
void AppendMetricHead(std::string& out, std::string_view name, std::string_view type,
                      std::string_view help);

}  // namespace samovar
