// What a pool keeps ready ahead of calls: the template, spares, provisioned instances.

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "instances/pool_waiter.h"

namespace samovar {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;
using Role = Instance::Role;

constexpr std::chrono::hours kKeepTemplate{4};  // unused; what keep-alive can learn is no longer
constexpr seconds kSpareWait{30};               // after one was dropped for want of memory
constexpr std::chrono::milliseconds kFirstCall{100};  // that a spare answers, as a rule
constexpr seconds kFirstWait{1};
constexpr seconds kLongestWait{64};

}  // namespace

Task<Result<void>> InstancePool::Prepare() {
  auto now = service_.clock_.Now();
  if (!MayBeCloned() || template_.Clonable() || template_.At() == Template::Stage::kNotClonable) {
    co_return Result<void>();
  }
  if (!template_.Initialising()) {
    if (!service_.MayStart() || !service_.MakeRoom(FreshMemory(), this)) {
      co_return Fail(Code::kOverloaded, "there is no room to initialise the version");
    }
    prepare_error_.reset();
    Make({.role = Role::kTemplate, .init_limit = LongInit()});
  }
  // Counted as a visitor, so that the pool is not forgotten meanwhile; it teaches keep-alive
  // nothing.
  struct Stay {
    int& count;
    explicit Stay(int& visitors) : count(visitors) { ++count; }
    Stay(const Stay&) = delete;
    ~Stay() { --count; }
  } stay(visitors_);
  while (template_.Initialising()) co_await prepared_.Wait();
  quiet_since_ = std::max(quiet_since_, now);
  if (prepare_error_) co_return std::unexpected(*prepare_error_);
  co_return Result<void>();
}

Error InstancePool::PrepareError(const Instance& instance) const {
  const auto& failure = *instance.Failure();
  if (failure.error) return *failure.error;
  if (failure.timed_out) {
    return {Code::kTimeout, "initialisation did not end within its time"};
  }
  auto why = instance.WhyItFailed();
  if (why.error_type == "Runtime.OutOfMemory") return {Code::kTooLarge, std::move(why.text)};
  return {Code::kInvalid, std::string(why.error_type) + ": " + why.text};
}

// Whether an instance can serve that is there already.
bool InstancePool::HasReady() const {
  return busy_ > 0 || !idle_.empty() || !provisioned_idle_.empty() || !spares_.empty();
}

Task<Result<void>> InstancePool::HaveOne(Deadline deadline) {
  if (HasReady()) co_return Result<void>();
  CO_TRY(Instance * instance, co_await Wait(deadline));
  Result<void> outcome;
  instance->SetFirst(StartKind::kWarm, {});  // its first caller does not wait for it
  if (instance->Failure()) outcome = std::unexpected(PrepareError(*instance));
  Release(*instance, std::nullopt, false);
  co_return outcome;
}

void InstancePool::SetProvisioned(int count) {
  if (std::exchange(provisioned_, count) == count) return;
  provisioned_failure_.clear();
  provisioned_retry_ = {};
  provisioned_wait_ = {};
  KeepReady(service_.clock_.Now());
}

int InstancePool::ProvisionedSize() const {
  int size = 0;
  for (const auto& instance : instances_) {
    bool ending = instance->Phase() == Instance::State::kEnding;
    if (instance->role == Role::kProvisioned && !ending) ++size;
  }
  return size;
}

ProvisionedStatus InstancePool::Provisioned() const {
  ProvisionedStatus status{.failure = provisioned_failure_};
  if (provisioned_ == 0) return status;
  for (const auto& instance : instances_) {
    if (instance->role != Role::kProvisioned || !instance->Usable()) continue;
    ++status.allocated;
    if (instance->Phase() != Instance::State::kStarting) ++status.available;
  }
  status.allocated = std::min(status.allocated, provisioned_);
  status.available = std::min(status.available, provisioned_);
  return status;
}

void InstancePool::NoteProvisionedFailure(const Instance& instance) {
  provisioned_failure_ = PrepareError(instance).message;
  provisioned_wait_ = provisioned_wait_.count() == 0
                          ? kFirstWait
                          : std::min<nanoseconds>(provisioned_wait_ * 2, kLongestWait);
  provisioned_retry_ = service_.clock_.Now() + provisioned_wait_;
}

void InstancePool::KeepReady(SteadyTime now) {
  if (retired_) {
    if (waiters_.empty()) EndAhead();
    return;
  }
  // A start that ends at once comes back here.
  if (service_.draining_ || std::exchange(keeping_ready_, true)) return;
  KeepProvisioned(now);
  KeepTemplate(now);
  KeepSpares(now);
  keeping_ready_ = false;
}

void InstancePool::KeepProvisioned(SteadyTime now) {
  if (provisioned_ == 0 && provisioned_idle_.empty()) return;
  int size = ProvisionedSize();
  for (; size > provisioned_ && !provisioned_idle_.empty(); --size) {
    EndInstance(*provisioned_idle_.front(), true);
  }
  while (size < provisioned_ && now >= provisioned_retry_ && !template_.Initialising() &&
         service_.MayStart() && service_.MakeRoom(StartMemory(), this)) {
    auto role = MakesTemplate(now) ? Role::kTemplate : Role::kProvisioned;
    Make({.role = role, .init_limit = LongInit()});
    ++size;
  }
}

// Whether a request is expected soon, and nothing is ready for it.
bool InstancePool::PrewarmDue(SteadyTime now) const {
  if (prewarmed_ || visitors_ > 0 || Size() > 0 || HasSpare()) return false;
  auto after = learned_.keep_alive.PrewarmAfter();
  auto gap = now - quiet_since_;
  return after && gap >= *after && gap <= learned_.keep_alive.Window();
}

void InstancePool::KeepTemplate(SteadyTime now) {
  if (template_.Clonable()) {
    bool unused = provisioned_ == 0 && !version_->snap_start && visitors_ == 0 && Size() == 0;
    if (unused && now - quiet_since_ > kKeepTemplate) EndAhead();
    return;
  }
  bool due = PrewarmDue(now);
  if (!due && !template_.Lost()) return;
  if (!service_.MayStart() || !service_.Fits(FreshMemory())) return;
  bool as_template = MakesTemplate(now);
  if (!as_template && !due) return;
  if (due) prewarmed_ = true;
  Make({.role = as_template ? Role::kTemplate : Role::kOnDemand, .init_limit = LongInit()});
}

std::size_t InstancePool::SparesWanted(SteadyTime now) const {
  if (!template_.Clonable()) return 0;
  std::size_t wanted = learned_.spares.Wanted(now);
  // What is idle serves a burst as well as a spare does; one spare is kept in any case.
  wanted = std::max<std::size_t>(1, wanted - std::min(wanted, idle_.size()));
  return std::min(wanted, service_.options_.max_spares);
}

void InstancePool::KeepSpares(SteadyTime now) {
  std::size_t wanted = SparesWanted(now);
  while (spares_.size() > wanted) EndInstance(*spares_.front(), false);
  if (spares_.size() >= wanted || now < spare_retry_ || !waiters_.empty()) return;
  // What took a spare is to have the processors for itself: to make one takes as long as the call.
  if (busy_ > 0 && now - spare_taken_ < kFirstCall) return;
  // One at a time, when nobody waits for a start but of what hangs.
  if (!service_.StartsStand(now) || (service_.queued_ > 0 && service_.starting_ == 0)) return;
  if (!service_.MaySpare(CloneMemory())) return;
  Make({.role = Role::kSpare, .init_limit = service_.options_.init_timeout});
}

void InstancePool::EndAhead() {
  while (!spares_.empty()) EndInstance(*spares_.back(), false);
  while (!provisioned_idle_.empty()) EndInstance(*provisioned_idle_.back(), true);
  if (Instance* process = template_.Drop(service_.clock_.Now(), {})) EndInstance(*process, true);
}

void InstancePool::DropSpare() {
  spare_retry_ = service_.clock_.Now() + kSpareWait;
  EndInstance(*spares_.front(), false);
}

bool InstancePool::HasIdleTemplate() const {
  return template_.Clonable() && visitors_ == 0 && provisioned_ == 0 && Size() == 0 &&
         spares_.empty();
}

Bytes InstancePool::TemplateMemory() const {
  return template_.Clonable() ? template_.Process()->counted : Bytes{};
}

void InstancePool::DropTemplate(nanoseconds wait) {
  Instance* process = template_.Drop(service_.clock_.Now(), wait);
  if (process) EndInstance(*process, false);
}

Bytes InstancePool::SpareMemory() const {
  Bytes sum;
  for (const Instance* spare : spares_) sum = sum + spare->counted;
  return sum;
}

TemplateStatus InstancePool::DescribeTemplate(SteadyTime now) const {
  TemplateStatus status;
  status.function = version_->function;
  status.version = version_->number;
  bool off = may_be_cloned_ && !*may_be_cloned_;
  status.stage = off ? "off" : StageName(template_.At());
  status.obstacles = template_.Obstacles();
  status.memory = TemplateMemory();
  status.spares = spares_.size();
  status.spare_memory = SpareMemory();
  if (!HasReady() && !template_.Clonable()) status.failure = start_failure_;
  if (template_.Clonable()) {
    status.spares_wanted = SparesWanted(now);
    status.age = now - template_.ReadySince();
    for (const auto& instance : instances_) status.clones += instance->Cloned() ? 1 : 0;
  }
  return status;
}

}  // namespace samovar
