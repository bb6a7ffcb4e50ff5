#include "instances/instance_pool.h"

#include <algorithm>
#include <utility>

#include "instances/pool_waiter.h"

namespace samovar {
namespace {

using std::chrono::nanoseconds;

constexpr std::chrono::seconds kAway{10};  // quiet for so long, a call that was expected later is

}  // namespace

InstancePool::Visit::Visit(InstancePool& pool) : pool_(pool) {
  if (pool_.visitors_++ > 0) return;
  pool_.prewarmed_ = false;
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
      quiet_since_(service.clock_.Now()),
      prepared_(service.loop_) {}

InstancePool::~InstancePool() = default;

// Gives one more call a place in an instance that has one.
void InstancePool::Seat(Instance& instance, bool alone) {
  if (instance.Calls() == 0) {
    instance.MarkBusy();
    ++busy_;
  }
  instance.Enter();
  instance.alone = alone;
  std::erase(open_, &instance);
  if (!instance.Full()) open_.push_back(&instance);
}

Instance* InstancePool::TakeOpen() {
  std::erase_if(open_, [](const Instance* instance) { return !instance->Usable(); });
  if (open_.empty()) return nullptr;
  Instance* instance = open_.back();
  Seat(*instance, false);
  return instance;
}

// Those in line take the free places of a busy instance, up to one who must be alone.
void InstancePool::Fill(Instance& instance) {
  while (!waiters_.empty() && !waiters_.front()->alone && !instance.Full()) {
    Grant(*PopWaiter(), instance);
  }
  std::erase(open_, &instance);
  if (!instance.Full()) open_.push_back(&instance);
}

std::size_t InstancePool::ExpectedCapacity() const {
  // A model's worker says how many it takes when it has loaded; most take many.
  const int unknown = version_->runtime == "onnx" ? 64 : 1;
  return static_cast<std::size_t>(learned_.capacity > 0 ? learned_.capacity : unknown);
}

Instance* InstancePool::TakeIdle(bool alone) {
  // Who waits goes before who comes.
  if (!alone && waiters_.empty()) {
    if (Instance* open = TakeOpen()) return open;
  }
  for (auto* list : {&provisioned_idle_, &idle_}) {
    while (!list->empty()) {
      Instance* instance = list->back();
      list->pop_back();
      if (!instance->Usable()) continue;  // its process has just ended
      Seat(*instance, alone);
      return instance;
    }
  }
  return TakeSpare(alone);
}

Instance* InstancePool::TakeSpare(bool alone) {
  learned_.spares.RecordNeed(service_.clock_.Now(),
                             learned_.scheduler.CloneTime().value_or(std::chrono::seconds(0)));
  while (!spares_.empty()) {
    Instance* spare = spares_.back();
    spares_.pop_back();
    if (!spare->Usable()) continue;
    spare_taken_ = service_.clock_.Now();
    spare->role = Instance::Role::kOnDemand;
    spare->SetFirst(StartKind::kSpare, {});
    Seat(*spare, alone);
    return spare;
  }
  return nullptr;
}

Task<Result<Instance*>> InstancePool::Wait(Deadline deadline, bool alone) {
  if (waiters_.size() >= service_.options_.queue_per_function ||
      service_.queued_ >= service_.options_.queue_total) {
    co_return Fail(Code::kOverloaded, "too many requests wait for " + version_->function);
  }
  Waiter waiter(*this, deadline, alone);
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
    Grant(*waiter, instance);
    Fill(instance);
    if (!waiters_.empty()) service_.Want(*this);
    return;
  }
  instance.MarkIdle();
  bool provisioned = instance.role == Instance::Role::kProvisioned;
  (provisioned ? provisioned_idle_ : idle_).push_back(&instance);
}

void InstancePool::Grant(Waiter& waiter, Instance& instance) {
  if (instance.Cloned() && instance.role == Instance::Role::kOnDemand) {
    // What this caller waited for: a clone, and the template before it where there was none.
    auto now = service_.clock_.Now();
    bool for_template = waiter.since < template_.ReadySince();
    auto start = for_template ? now - template_.Born() : instance.InitDuration();
    instance.SetFirst(StartKind::kClone,
                      std::min<std::chrono::nanoseconds>(start, now - waiter.since));
  }
  Seat(instance, waiter.alone);
  waiter.granted = &instance;
  waiter.signal.Notify();
}

void InstancePool::Release(Instance& instance, std::optional<std::chrono::nanoseconds> call_time,
                           bool broken) {
  instance.Leave();
  instance.alone = false;
  if (call_time && !instance.Failure()) learned_.scheduler.RecordCall(*call_time);
  // Where several calls run, the answer to one that was cut off is told from the others'.
  bool usable = instance.Usable() && !(broken && instance.Capacity() == 1);
  bool gives_way = instance.role != Instance::Role::kProvisioned && service_.MustGiveWay(*this);
  if (instance.Calls() > 0) {
    if (!usable) {
      EndInstance(instance, false);
    } else if (gives_way) {
      std::erase(open_, &instance);  // it ends when those in it have
    } else {
      Fill(instance);
    }
    service_.StartWanted();
    return;
  }
  --busy_;
  std::erase(open_, &instance);
  if (!usable || (retired_ && waiters_.empty()) || gives_way) {
    EndInstance(instance, usable && retired_);
  } else {
    Offer(instance);
  }
  service_.StartWanted();
}

void InstancePool::EndInstance(Instance& instance, bool ask) {
  for (auto* list : {&idle_, &provisioned_idle_, &spares_, &open_}) std::erase(*list, &instance);
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

void InstancePool::Tick(SteadyTime now, bool sample_busy, bool sample_idle) {
  for (auto& instance : instances_) {
    instance->CheckDeadline(now);
    bool busy = instance->Phase() == Instance::State::kBusy;
    bool rests = instance->Phase() != Instance::State::kStarting &&
                 instance->Phase() != Instance::State::kEnding && !busy;
    if ((busy && sample_busy) || (rests && sample_idle)) Sample(*instance);
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
  auto after = learned_.keep_alive.PrewarmAfter();
  // How long there was nothing to do: no call is expected before `after`, and none past the window.
  auto quiet = visitors_ == 0 ? now - quiet_since_ : nanoseconds(0);
  bool all = retired_ || quiet > window || (after && quiet > kAway && quiet < *after);
  // The least recently used stand first.
  while (!idle_.empty() && (all || now - idle_.front()->IdleSince() > window)) {
    EndInstance(*idle_.front(), true);
  }
}

void InstancePool::Retire() {
  retired_ = true;
  EndIdle(service_.clock_.Now());
  KeepReady(service_.clock_.Now());
}

void InstancePool::KillAll(const Error& reason) {
  retired_ = true;
  while (!waiters_.empty()) waiters_.front()->Refuse(reason);
  for (auto& instance : instances_) EndInstance(*instance, false);
}

Instance* InstancePool::LeastRecentlyUsed() { return idle_.empty() ? nullptr : idle_.front(); }

void InstancePool::Evict(Instance& instance) { EndInstance(instance, false); }

std::size_t InstancePool::Size() const {
  return instances_.size() - ending_ - spares_.size() - (template_.Clonable() ? 1 : 0);
}

SteadyTime InstancePool::LastUse() const {
  return visitors_ > 0 ? service_.clock_.Now() : quiet_since_;
}

SteadyTime InstancePool::OldestWait() const {
  return waiters_.empty() ? SteadyTime::max() : waiters_.front()->since;
}

void InstancePool::AppendStatus(std::vector<InstanceStatus>& list, SteadyTime now) const {
  constexpr std::string_view kNames[] = {"starting", "idle", "busy", "ending", "spare", "template"};
  for (const auto& instance : instances_) {
    InstanceStatus status;
    status.id = instance->Id();
    status.function = version_->function;
    status.version = version_->number;
    status.state = kNames[static_cast<std::size_t>(instance->Phase())];
    status.kind = instance->role == Instance::Role::kTemplate ? "template"
                  : instance->Cloned()                        ? "clone"
                                                              : "fresh";
    status.provisioned = instance->role == Instance::Role::kProvisioned;
    status.memory = instance->Memory();
    status.age = now - instance->Born();
    bool idle = instance->Phase() == Instance::State::kIdle;
    if (idle) status.idle = now - instance->IdleSince();
    status.invocations = instance->Invocations();
    list.push_back(std::move(status));
  }
}

}  // namespace samovar
