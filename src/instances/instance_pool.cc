#include "instances/instance_pool.h"

#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "base/log.h"

namespace samovar {
namespace {

constexpr Bytes kGuess = Bytes::MiB(64);  // of an instance, before one of its kind was seen

// One nanosecond stands for one KiB, so that one class averages both.
std::chrono::nanoseconds AsAverage(Bytes memory) {
  return std::chrono::nanoseconds(memory.count >> 10);
}

}  // namespace

struct InstancePool::Waiter {
  Waiter(InstancePool& owner, Deadline until)
      : pool(owner),
        deadline(until),
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
  SteadyTime since;
  std::list<Waiter*>::iterator place;
  bool in_line = true;
  Instance* granted = nullptr;
  std::optional<Error> error;
  Signal signal;
};

InstancePool::Visit::Visit(InstancePool& pool) : pool_(pool) {
  if (pool_.visitors_++ > 0) return;
  pool_.learned_.keep_alive.RecordGap(pool_.service_.clock_.Now() - pool_.quiet_since_);
}
InstancePool::Visit::~Visit() {
  if (--pool_.visitors_ == 0) pool_.quiet_since_ = pool_.service_.clock_.Now();
}

InstancePool::InstancePool(InstanceService& service, VersionPtr version, Learned learned)
    : service_(service),
      version_(std::move(version)),
      account_(service.books_.For(*version_)),
      learned_(std::move(learned)),
      quiet_since_(service.clock_.Now()) {}

InstancePool::~InstancePool() = default;

Instance* InstancePool::TakeIdle() {
  while (!idle_.empty()) {
    Instance* instance = idle_.back();
    idle_.pop_back();
    if (!instance->Usable()) continue;  // its process has just ended
    instance->MarkBusy();
    ++busy_;
    return instance;
  }
  return nullptr;
}

Task<Result<Instance*>> InstancePool::Wait(Deadline deadline) {
  if (waiters_.size() >= service_.options_.queue_per_function ||
      service_.queued_ >= service_.options_.queue_total) {
    co_return Fail(Code::kOverloaded, "too many requests wait for " + version_->function);
  }
  Waiter waiter(*this, deadline);
  service_.Want(*this);
  service_.StartWanted();
  while (!waiter.granted && !waiter.error) co_await waiter.signal.Wait();
  if (waiter.error) co_return std::unexpected(std::move(*waiter.error));
  co_return std::exchange(waiter.granted, nullptr);
}

InstancePool::Waiter* InstancePool::PopWaiter() {
  if (waiters_.empty()) return nullptr;
  Waiter* waiter = waiters_.front();
  waiter->Leave();
  auto now = service_.clock_.Now();
  learned_.scheduler.RecordWait(now, now - waiter->since);
  return waiter;
}

// Gives an instance that nobody uses to the first in line, or lets it idle.
void InstancePool::Offer(Instance& instance) {
  if (Waiter* waiter = PopWaiter()) {
    instance.MarkBusy();
    ++busy_;
    waiter->granted = &instance;
    waiter->signal.Notify();
    if (!waiters_.empty()) service_.Want(*this);
    return;
  }
  instance.MarkIdle();
  idle_.push_back(&instance);
}

void InstancePool::Release(Instance& instance, std::optional<std::chrono::nanoseconds> call_time,
                           bool broken) {
  --busy_;
  if (call_time && !instance.Failure()) learned_.scheduler.RecordCall(*call_time);
  bool usable = instance.Usable() && !broken;
  if (!usable || (retired_ && waiters_.empty()) || service_.MustGiveWay(*this)) {
    EndInstance(instance, usable && retired_);
  } else {
    Offer(instance);
  }
  service_.StartWanted();
}

void InstancePool::EndInstance(Instance& instance, bool ask) {
  std::erase(idle_, &instance);
  if (instance.Phase() != Instance::State::kEnding) {
    ++ending_;
    service_.ending_memory_ = service_.ending_memory_ + instance.counted;
  }
  instance.End(ask);
}

void InstancePool::Recount(Instance& instance, Bytes counts) {
  service_.memory_used_ = service_.memory_used_ - instance.counted + counts;
  if (instance.Phase() == Instance::State::kEnding) {
    service_.ending_memory_ = service_.ending_memory_ - instance.counted + counts;
  }
  instance.counted = counts;
}

bool InstancePool::WantsStart(SteadyTime now) const {
  if (retired_ && waiters_.empty()) return false;
  PoolLoad load;
  load.waiting = waiters_.size();
  load.starting = starting_;
  load.ready = busy_ + idle_.size();
  if (!waiters_.empty()) load.oldest_wait = now - waiters_.front()->since;
  return learned_.scheduler.ShouldStart(now, load);
}

Bytes InstancePool::StartMemory() const {
  auto known = learned_.start_memory.Value();
  Bytes expected = known ? Bytes{static_cast<std::uint64_t>(known->count()) << 10} : kGuess;
  return std::max(std::min(expected, version_->memory), service_.options_.memory_floor);
}

void InstancePool::Begin(std::chrono::nanoseconds init_limit, bool retry) {
  ++starting_;
  ++service_.starting_;
  service_.starts_moved_ = service_.clock_.Now();
  learned_.scheduler.Started();
  std::string id = RandomHex(32);
  auto made = std::make_unique<Instance>(service_.Context(), version_, id, init_limit);
  Instance* instance = made.get();
  auto place = instances_.insert(instances_.end(), std::move(made));
  Recount(*instance, StartMemory());
  auto started = [this, instance, retry] { Started(*instance, retry); };
  service_.tasks_.Spawn(Live(instance, place, std::move(started)));
}

Task<void> InstancePool::Live(Instance* instance, Place place, std::function<void()> started) {
  co_await instance->Live(service_.planner_(*version_, instance->Id()), std::move(started));
  EndInstance(*instance, false);  // a process may end by itself
  Recount(*instance, {});
  --ending_;
  instances_.erase(place);
  // Whoever waits needs another one.
  if (!waiters_.empty()) service_.Want(*this);
  service_.StartWanted();
}

void InstancePool::Started(Instance& instance, bool retry) {
  --starting_;
  --service_.starting_;
  service_.starts_moved_ = service_.clock_.Now();
  if (instance.Failure()) {
    StartFailed(instance, retry);
  } else if (instance.Phase() == Instance::State::kEnding) {
    // It was asked to end while it started.
  } else if (retired_ && waiters_.empty()) {
    EndInstance(instance, true);
  } else {
    learned_.scheduler.RecordStart(instance.InitDuration());
    Recount(instance, instance.SampleMemory(service_.options_.memory_floor));
    learned_.start_memory.Add(AsAverage(instance.counted));
    Offer(instance);
  }
  service_.StartWanted();
}

void InstancePool::StartFailed(Instance& instance, bool retry) {
  const auto& failure = *instance.Failure();
  bool ending = instance.Phase() == Instance::State::kEnding;
  if (failure.timed_out && !retry && !ending && !waiters_.empty()) {
    // As Lambda does: initialised once more, now on the function's own time.
    EndInstance(instance, false);
    Begin(version_->timeout, true);
    return;
  }
  Waiter* waiter = ending ? nullptr : PopWaiter();
  if (!waiter) {
    EndInstance(instance, false);
  } else if (failure.error) {
    LogWarn("{}: no instance: {}", version_->function, failure.error->message);
    waiter->Refuse(*failure.error);
    EndInstance(instance, false);
  } else {
    // The one who gets it gets the error of its initialisation.
    instance.MarkBusy();
    ++busy_;
    waiter->granted = &instance;
    waiter->signal.Notify();
  }
  if (!waiters_.empty()) service_.Want(*this);
}

void InstancePool::Tick(SteadyTime now, bool sample_busy, bool sample_idle) {
  for (auto& instance : instances_) {
    instance->CheckDeadline(now);
    bool busy = instance->Phase() == Instance::State::kBusy;
    bool idle = instance->Phase() == Instance::State::kIdle;
    if ((busy && sample_busy) || (idle && sample_idle)) {
      Recount(*instance, instance->SampleMemory(service_.options_.memory_floor));
      if (idle) learned_.start_memory.Add(AsAverage(instance->counted));
    }
  }
  ExpireWaiters(now);
  EndIdle(now);
  if (!waiters_.empty()) service_.Want(*this);
}

void InstancePool::ExpireWaiters(SteadyTime now) {
  for (auto at = waiters_.begin(); at != waiters_.end();) {
    Waiter* waiter = *at++;
    if (!waiter->deadline.Passed(now)) continue;
    waiter->Refuse(
        {Code::kOverloaded, "no instance of " + version_->function + " was free in time"});
  }
}

void InstancePool::EndIdle(SteadyTime now) {
  if (idle_.empty()) return;
  auto window = learned_.keep_alive.Window();
  // The least recently used stand first.
  while (!idle_.empty() && (retired_ || now - idle_.front()->IdleSince() > window)) {
    EndInstance(*idle_.front(), true);
  }
}

void InstancePool::Retire() {
  retired_ = true;
  EndIdle(service_.clock_.Now());
}

void InstancePool::KillAll(const Error& reason) {
  retired_ = true;
  while (!waiters_.empty()) waiters_.front()->Refuse(reason);
  for (auto& instance : instances_) EndInstance(*instance, false);
}

Instance* InstancePool::LeastRecentlyUsed() { return idle_.empty() ? nullptr : idle_.front(); }

void InstancePool::Evict(Instance& instance) { EndInstance(instance, false); }

SteadyTime InstancePool::OldestWait() const {
  return waiters_.empty() ? SteadyTime::max() : waiters_.front()->since;
}

void InstancePool::AppendStatus(std::vector<InstanceStatus>& list, SteadyTime now) const {
  constexpr std::string_view kNames[] = {"starting", "idle", "busy", "ending"};
  for (const auto& instance : instances_) {
    InstanceStatus status;
    status.id = instance->Id();
    status.function = version_->function;
    status.version = version_->number;
    status.state = kNames[static_cast<std::size_t>(instance->Phase())];
    status.memory = instance->Memory();
    status.age = now - instance->Born();
    bool idle = instance->Phase() == Instance::State::kIdle;
    if (idle) status.idle = now - instance->IdleSince();
    status.invocations = instance->Invocations();
    list.push_back(std::move(status));
  }
}

}  // namespace samovar
