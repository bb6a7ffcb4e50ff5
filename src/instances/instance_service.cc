#include "instances/instance_service.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>
#include <utility>

#include "base/log.h"
#include "instances/instance_pool.h"
#include "sandbox/cpu_share.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr std::chrono::milliseconds kTick{20};
constexpr std::chrono::milliseconds kSlowTick{250};  // while nothing runs or waits
constexpr std::chrono::milliseconds kSampleEvery{100};
constexpr std::chrono::seconds kWriteBooksEvery{1};
constexpr unsigned kIdleSampleEvery = 10;  // of those
constexpr std::chrono::seconds kStarvedLong{1};
constexpr std::chrono::seconds kStartsStand{1};  // all under way, and none begins or ends
constexpr std::int64_t kLogAllowance = 1 << 20;  // of all instances in a tick
constexpr int kMaxTries = 3;
constexpr std::chrono::seconds kKillWait{5};

}  // namespace

InstanceService::InstanceService(Executor loop, const Clock& clock, InstanceOptions options,
                                 SandboxHost& host, LaunchPlanner planner, LogStore& logs,
                                 Books& books)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      host_(host),
      planner_(std::move(planner)),
      logs_(logs),
      books_(books),
      limits_(options_.account_concurrency, options_.reserved_total),
      log_allowance_(kLogAllowance),
      ticker_(loop),
      tasks_(loop) {
  if (options_.cores <= 0) {
    options_.cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  if (options_.starts_at_a_time <= 0) options_.starts_at_a_time = 2 * options_.cores;
}

InstanceService::~InstanceService() = default;

void InstanceService::Start() {
  tasks_.Spawn(TickLoop());
  tasks_.Spawn(WriteBooks());
}

Task<void> InstanceService::WriteBooks() {
  Timer timer(loop_);
  while (true) {
    timer.expires_after(kWriteBooksEvery);
    co_await timer.async_wait(kTuple);
    auto written = co_await books_.Flush(logs_.Pool());
    if (!written) LogError("the books are not written: {}", written.error().message);
  }
}

InstanceContext InstanceService::Context() {
  return {loop_, clock_, host_, logs_, tasks_, log_allowance_, options_.max_response};
}

Task<Result<InvocationResult>> InstanceService::Invoke(Invocation invocation, ResponseSink* sink) {
  if (draining_) co_return Fail(Code::kUnavailable, "the server is shutting down");
  auto permit = limits_.Admit(invocation.version->function, invocation.reserved_concurrency,
                              invocation.provisioned_concurrency);
  if (!permit) {
    books_.RecordThrottle(books_.For(*invocation.version));
    co_return std::unexpected(std::move(permit.error()));
  }
  ++begun_;
  invocation.busy_poll = MayBusyPoll(*invocation.version);
  if (slow_ticks_) ticker_.cancel();
  InstancePool& pool = PoolOf(invocation.version);
  InstancePool::Visit visit(pool);
  co_return co_await InvokeAdmitted(invocation, sink, pool);
}

// Looking takes a processor, this one's or another's: half of them are left for work, and a
// function with less than a whole one would look its share away.
bool InstanceService::MayBusyPoll(const Version& version) const {
  return options_.busy_poll && 2 * limits_.Running() <= options_.cores &&
         version.memory >= kMemoryOfOneCpu;
}

Task<Result<InvocationResult>> InstanceService::InvokeAdmitted(Invocation& invocation,
                                                               ResponseSink* sink,
                                                               InstancePool& pool) {
  struct Lease {
    InstancePool& pool;
    Instance& instance;
    std::optional<std::chrono::nanoseconds> call_time = std::nullopt;
    // A call that was cut off leaves its runtime in mid-answer.
    ~Lease() { pool.Release(instance, call_time, !call_time); }
  };
  for (int tries = 0; tries < kMaxTries; ++tries) {
    Instance* instance = pool.TakeIdle(invocation.alone);
    if (!instance) {
      auto waited = co_await pool.Wait(invocation.queue_deadline, invocation.alone);
      if (!waited) co_return std::unexpected(std::move(waited.error()));
      instance = *waited;
    }
    Lease lease{pool, *instance};
    auto result = co_await instance->Run(invocation, sink);
    if (!result) continue;  // it was gone before it began
    lease.call_time = result->duration;
    books_.Record(pool.Books(), *invocation.version, *result);
    co_return std::move(*result);
  }
  co_return Fail(Code::kUnavailable,
                 "instances of " + invocation.version->function + " end before they take an event");
}

InstancePool& InstanceService::PoolOf(const VersionPtr& version) {
  if (auto at = by_pointer_.find(version.get()); at != by_pointer_.end()) return *at->second;
  auto& pool = pools_[version->Key()];
  if (pool) return *pool;
  InstancePool::Learned learned{.keep_alive = KeepAlive(options_.keep_alive),
                                .scheduler = {},
                                .spares = {},
                                .start_memory = {},
                                .clone_memory = {},
                                .capacity = 0};
  for (auto& [key, other] : pools_) {
    if (other && other->Subject()->function == version->function &&
        other->Subject()->number == version->number) {
      learned = other->Experience();
    }
  }
  pool = std::make_unique<InstancePool>(*this, version, std::move(learned));
  by_pointer_[version.get()] = pool.get();
  return *pool;
}

void InstanceService::Want(InstancePool& pool) {
  if (std::exchange(pool.in_wanting, true)) return;
  wanting_.push_back(&pool);
}

void InstanceService::StartWanted() {
  if (wanting_.empty() || in_start_wanted_) return;
  in_start_wanted_ = true;  // a start that fails at once comes back here
  auto now = clock_.Now();
  bool starved = false;
  std::size_t without_start = 0;
  while (without_start < wanting_.size() && starting_ < options_.starts_at_a_time) {
    InstancePool& pool = *wanting_.front();
    wanting_.pop_front();
    if (!pool.WantsStart(now)) {
      pool.in_wanting = false;
      pool.starved_since = SteadyTime::max();
      continue;
    }
    wanting_.push_back(&pool);  // in turn: one start each
    if (MakeRoom(pool.StartMemory(), &pool)) {
      pool.starved_since = SteadyTime::max();
      without_start = 0;
      pool.Begin();
      continue;
    }
    ++without_start;
    if (pool.Size() > 0) continue;
    DropTemplateThatFillsTheBudget(pool);
    starved = true;
    pool.starved_since = std::min(pool.starved_since, now);
  }
  starved_ = starved;
  StartBeyondBound(now);
  in_start_wanted_ = false;
}

bool InstanceService::StartsStand(SteadyTime now) const {
  return starting_ == 0 || now - starts_moved_ >= kStartsStand;
}

// One function's long initialisations must not keep the others at zero: while the starts under way
// stand still, a function without an instance gets one all the same, one a second.
void InstanceService::StartBeyondBound(SteadyTime now) {
  if (starting_ < options_.starts_at_a_time || !StartsStand(now)) return;
  for (InstancePool* pool : wanting_) {
    if (pool->Size() > 0 || !pool->WantsStart(now) || !MakeRoom(pool->StartMemory(), pool)) {
      continue;
    }
    pool->Begin();
    return;
  }
}

bool InstanceService::MustGiveWay(const InstancePool& pool) const {
  if (!starved_) return false;
  auto now = clock_.Now();
  for (const InstancePool* other : wanting_) {
    if (other == &pool || other->starved_since == SteadyTime::max()) continue;
    if (MemoryInUse() - ending_memory_ + other->StartMemory() <= options_.memory_budget) continue;
    if (pool.Size() > 1 || now - other->starved_since > kStarvedLong) return true;
  }
  return false;
}

void InstanceService::Retire(const std::string& version_key) {
  auto at = pools_.find(version_key);
  if (at != pools_.end()) at->second->Retire();
  ForgetLimits(version_key.substr(0, version_key.find(':')));
}

void InstanceService::ForgetLimits(const std::string& function) {
  auto of_function = [&](auto& entry) { return entry.second->Subject()->function == function; };
  if (std::ranges::none_of(pools_, of_function)) limits_.Forget(function);
}

void InstanceService::ForgetRetiredPools() {
  std::vector<std::string> functions;
  std::erase_if(pools_, [&](auto& entry) {
    InstancePool& pool = *entry.second;
    if (!pool.Retired() || !pool.Unused()) return false;
    if (pool.in_wanting) wanting_.remove(&pool);
    by_pointer_.erase(pool.Subject().get());
    functions.push_back(pool.Subject()->function);
    return true;
  });
  for (const auto& function : functions) ForgetLimits(function);
}

void InstanceService::Tick() {
  auto now = clock_.Now();
  log_allowance_ = kLogAllowance;
  bool sample = now >= next_sample_;
  if (sample) {
    next_sample_ = now + kSampleEvery;
    ++samples_;
  }
  bool sample_idle = sample && samples_ % kIdleSampleEvery == 0;
  for (auto& [key, pool] : pools_) pool->Tick(now, sample, sample_idle);
  StartWanted();
  // Instances may have grown past the budget.
  if (MemoryInUse() - ending_memory_ > options_.memory_budget) MakeRoom({}, nullptr);
  for (auto& [key, pool] : pools_) pool->KeepReady(now);
  ForgetRetiredPools();
}

Task<void> InstanceService::TickLoop() {
  while (true) {
    slow_ticks_ = limits_.Running() == 0 && starting_ == 0;
    ticker_.expires_after(slow_ticks_ ? kSlowTick : kTick);
    co_await ticker_.async_wait(kTuple);
    Tick();
  }
}

Task<void> InstanceService::Drain(Deadline deadline) {
  draining_ = true;
  Timer timer(loop_);
  auto pause = [&] {
    timer.expires_after(kTick);
    return timer.async_wait(kTuple);
  };
  while (limits_.Running() > 0 && !deadline.Passed(clock_.Now())) co_await pause();
  for (auto& [key, pool] : pools_) {
    pool->KillAll({Code::kUnavailable, "the server is shutting down"});
  }
  auto last = Deadline::After(clock_, kKillWait);
  auto unused = [&] {
    return std::ranges::all_of(pools_, [](auto& entry) { return entry.second->Unused(); });
  };
  while (!unused() && !last.Passed(clock_.Now())) co_await pause();
  booted_.clear();  // they end with their host
  co_await tasks_.Stop();
  auto written = co_await books_.Flush(logs_.Pool());
  if (!written) LogError("the books are not written: {}", written.error().message);
}

}  // namespace samovar
