// How a pool's instances start: as the template, as clones of it, or afresh.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "instances/pool_waiter.h"

namespace samovar {
namespace {

using std::chrono::nanoseconds;
using Role = Instance::Role;

constexpr Bytes kGuess = Bytes::MiB(64);       // of an instance, before one of its kind was seen
constexpr Bytes kCloneGuess = Bytes::MiB(12);  // of what a clone has for itself
constexpr std::string_view kTemplateVariable = "SAMOVAR_TEMPLATE=1";
constexpr std::string_view kInitType = "AWS_LAMBDA_INITIALIZATION_TYPE=";

// One nanosecond stands for one KiB, so that one class averages both.
nanoseconds AsAverage(Bytes memory) { return nanoseconds(memory.count >> 10); }

Bytes FromAverage(std::optional<nanoseconds> average, Bytes guess) {
  return average ? Bytes{static_cast<std::uint64_t>(average->count()) << 10} : guess;
}

void SetInitType(std::vector<std::string>& env, std::string_view type) {
  std::erase_if(env, [](const std::string& v) { return v.starts_with(kInitType); });
  env.push_back(std::string(kInitType) + std::string(type));
}

// A caller's own error where a hook of SnapStart fails, as AWS words it.
Error RestoreFailed() {
  return {Code::kInvalid,
          "The afterRestore() runtime hook encountered an error. For more information, check the "
          "Amazon CloudWatch logs.",
          "SnapStartException"};
}

std::string Describe(const Instance::StartFailure& failure) {
  if (failure.error) return failure.error->message;
  if (failure.timed_out) return "it took too long";
  if (!failure.reply.error_type.empty()) return failure.reply.error_type;
  return failure.reply.detail.empty() ? "its process ended" : failure.reply.detail;
}

}  // namespace

bool InstancePool::WantsStart(SteadyTime now) const {
  if (retired_ && waiters_.empty()) return false;
  if (template_.Initialising()) return false;  // its clones will serve
  PoolLoad load;
  load.waiting = waiters_.size();
  load.starting = starting_ * ExpectedCapacity();
  load.ready = (busy_ + idle_.size() + provisioned_idle_.size()) * ExpectedCapacity();
  if (!waiters_.empty()) load.oldest_wait = now - waiters_.front()->since;
  load.clones = template_.Clonable();
  return learned_.scheduler.ShouldStart(now, load);
}

Bytes InstancePool::FreshMemory() const {
  Bytes expected = FromAverage(learned_.start_memory.Value(), kGuess);
  return std::max(std::min(expected, version_->memory), service_.options_.memory_floor);
}

Bytes InstancePool::CloneMemory() const {
  Bytes expected = FromAverage(learned_.clone_memory.Value(), kCloneGuess);
  return std::max(std::min(expected, version_->memory), service_.options_.clone_memory_floor);
}

Bytes InstancePool::StartMemory() const {
  return template_.Clonable() ? CloneMemory() : FreshMemory();
}

void InstancePool::Sample(Instance& instance) {
  const auto& options = service_.options_;
  bool cloned = instance.Cloned();
  Recount(instance,
          instance.SampleMemory(cloned ? options.clone_memory_floor : options.memory_floor));
  if (instance.Phase() == Instance::State::kBusy) return;
  (cloned ? learned_.clone_memory : learned_.start_memory).Add(AsAverage(instance.counted));
}

// Initialisation that no request waits for has longer, as on AWS.
nanoseconds InstancePool::LongInit() const {
  return std::max<nanoseconds>(version_->timeout, service_.options_.init_timeout_ahead);
}

bool InstancePool::MayBeCloned() {
  if (!may_be_cloned_) {
    auto spec = service_.planner_(*version_, RandomHex(32));
    if (!spec) return false;
    may_be_cloned_ = spec->clonable;
  }
  return *may_be_cloned_;
}

void InstancePool::Begin() {
  learned_.scheduler.Started();
  auto role = MakesTemplate(service_.clock_.Now()) ? Role::kTemplate : Role::kOnDemand;
  Make({.role = role, .init_limit = service_.options_.init_timeout});
}

std::string_view InstancePool::InitType(const Order& order) const {
  bool provisioned = order.role == Role::kProvisioned ||
                     (order.role == Role::kTemplate && !version_->snap_start && provisioned_ > 0);
  if (provisioned) return "provisioned-concurrency";
  bool restored = order.role == Role::kTemplate || (template_.Clonable() && !order.afresh);
  return version_->snap_start && restored ? "snap-start" : "on-demand";
}

InstanceStart InstancePool::Plan(const Order& order, const std::string& id) {
  InstanceStart start{.spec = service_.planner_(*version_, id)};
  if (!start.spec) return start;
  SandboxSpec& spec = *start.spec;
  SetInitType(spec.env, InitType(order));
  if (spec.boot && !service_.MayBootAhead(spec)) spec.boot.reset();
  if (order.role == Role::kTemplate) return start;
  bool clonable = std::exchange(spec.clonable, false);
  std::erase(spec.env, kTemplateVariable);
  if (!clonable || order.afresh || !template_.Clonable()) return start;
  start.parent = template_.Process();
  start.parent_lease = start.parent->Keep();
  start.clone_env = template_.Difference(spec.env);
  return start;
}

void InstancePool::Make(Order order) {
  auto now = service_.clock_.Now();
  std::string id = RandomHex(32);
  InstanceStart start = Plan(order, id);
  auto made = std::make_unique<Instance>(service_.Context(), version_, id, order.init_limit);
  Instance* instance = made.get();
  instance->role = order.role;
  instance->second_try = order.second_try;
  if (start.spec && start.spec->boot) instance->boot_kind = service_.BootKind(*start.spec);
  auto place = instances_.insert(instances_.end(), std::move(made));
  ++starting_;
  ++service_.starting_;
  service_.starts_moved_ = now;
  Recount(*instance, start.parent ? CloneMemory() : FreshMemory());
  if (order.role == Role::kTemplate) {
    auto env = start.spec ? start.spec->env : std::vector<std::string>();
    template_.Begin(*instance, std::move(env), now);
  }
  auto started = [this, instance] { Started(*instance); };
  service_.tasks_.Spawn(Live(instance, place, std::move(start), std::move(started)));
}

Task<void> InstancePool::Live(Instance* instance, Place place, InstanceStart start,
                              std::function<void()> started) {
  co_await instance->Live(std::move(start), std::move(started));
  bool was_template = template_.Process() == instance;
  EndInstance(*instance, false);  // a process may end by itself
  Recount(*instance, {});
  --ending_;
  if (was_template) template_.Ended(service_.clock_.Now());
  instances_.erase(place);
  prepared_.Notify();
  // Whoever waits needs another one.
  if (!waiters_.empty()) service_.Want(*this);
  service_.StartWanted();
}

void InstancePool::Started(Instance& instance) {
  --starting_;
  --service_.starting_;
  auto now = service_.clock_.Now();
  service_.starts_moved_ = now;
  bool ahead = instance.role != Role::kOnDemand;
  TellTemplate(instance);
  if (!instance.boot_kind.empty()) {
    service_.LearnBooted(instance.boot_kind, instance.BootedMemory());
  }
  if (instance.Failure()) {
    StartFailed(instance);
  } else if (instance.Phase() == Instance::State::kEnding) {
    // It was asked to end while it started.
  } else if (retired_ && waiters_.empty()) {
    EndInstance(instance, true);
  } else if (template_.Process() == &instance &&
             template_.Ready(ReadTemplateReport(instance.TakeReport()), now)) {
    TemplateReady(instance);
  } else {
    Serve(instance);
  }
  prepared_.Notify();
  service_.StartWanted();
  // After a start for a call the ticker does, as more work now would slow that call down.
  if (ahead && waiters_.empty()) KeepReady(now);
}

// How a clone came out; a template of which none can be made is ended.
void InstancePool::TellTemplate(Instance& instance) {
  Instance* unfit = nullptr;
  auto now = service_.clock_.Now();
  if (const auto& error = instance.CloneError()) {
    unfit = error->code == Code::kUnsupported
                ? template_.CannotBeCloned({error->message, "see docs/scaling.md"})
                : template_.CloneFailed(now);
  } else if (instance.Cloned() && !instance.Failure()) {
    template_.CloneMade();
  } else if (instance.Cloned() && instance.Failure()->reply.ending != Ending::kFailed &&
             instance.Phase() != Instance::State::kEnding) {
    unfit = template_.CloneBroke(now, Describe(*instance.Failure()));
  }
  if (!unfit) return;
  LogWarn("{}: its template is given up: no clone can be made of it", version_->function);
  EndInstance(*unfit, false);
}

void InstancePool::TemplateReady(Instance& instance) {
  start_failure_.clear();
  instance.MarkTemplate();
  learned_.scheduler.RecordStart(instance.InitDuration());
  Sample(instance);
  if (!waiters_.empty()) service_.Want(*this);
}

// An instance that has just initialised.
void InstancePool::Serve(Instance& instance) {
  start_failure_.clear();
  learned_.capacity = instance.Capacity();
  learned_.scheduler.RecordStart(instance.InitDuration(), instance.Cloned());
  Sample(instance);
  if (instance.role == Role::kTemplate) {  // it cannot be cloned
    bool lacking = ProvisionedSize() < provisioned_;
    instance.role = lacking ? Role::kProvisioned : Role::kOnDemand;
  }
  if (instance.role == Role::kSpare) {
    if (waiters_.empty()) {
      instance.MarkSpare();
      spares_.push_back(&instance);
      return;
    }
    instance.role = Role::kOnDemand;
  }
  if (instance.role == Role::kProvisioned) {
    provisioned_failure_.clear();
    provisioned_wait_ = {};
    instance.SetFirst(StartKind::kWarm, {});
  } else if (instance.Cloned() || waiters_.empty()) {
    // Who takes it later has not waited for it; Grant() knows of who has.
    instance.SetFirst(instance.Cloned() ? StartKind::kClone : StartKind::kFresh, {});
  }
  Offer(instance);
}

void InstancePool::StartFailed(Instance& instance) {
  const auto& failure = *instance.Failure();
  if (!failure.error) start_failure_ = PrepareError(instance).message;
  if (template_.Process() == &instance) template_.InitFailed(service_.clock_.Now());
  if (instance.role == Role::kTemplate) prepare_error_ = PrepareError(instance);
  if (TryAgain(instance)) return;
  if (instance.role == Role::kProvisioned || provisioned_ > 0) NoteProvisionedFailure(instance);
  if (instance.role == Role::kSpare)
    spare_retry_ = service_.clock_.Now() + std::chrono::seconds(30);
  bool ending = instance.Phase() == Instance::State::kEnding;
  Waiter* waiter = ending ? nullptr : PopWaiter();
  if (!waiter) {
    EndInstance(instance, false);
  } else if (failure.error || (instance.Cloned() && version_->snap_start)) {
    Error error = failure.error ? *failure.error : RestoreFailed();
    LogWarn("{}: no instance: {}", version_->function, error.message);
    waiter->Refuse(std::move(error));
    EndInstance(instance, false);
  } else {
    // The one who gets it gets the error of its initialisation.
    instance.role = Role::kOnDemand;
    Grant(*waiter, instance);
  }
  if (!waiters_.empty()) service_.Want(*this);
}

// As Lambda does: what failed to initialise is initialised once more, on the function's own time. A
// clone that broke is followed by a fresh instance.
bool InstancePool::TryAgain(Instance& instance) {
  bool ending = instance.Phase() == Instance::State::kEnding;
  if (ending || waiters_.empty() || !instance.Made()) return false;
  const auto& failure = *instance.Failure();
  if (instance.Cloned()) {
    if (failure.reply.ending == Ending::kFailed && !failure.timed_out) return false;
    LogWarn("{}: started afresh, as a clone broke: {}", version_->function, Describe(failure));
    EndInstance(instance, false);
    Make({.init_limit = service_.options_.init_timeout, .afresh = true});
    return true;
  }
  if (instance.second_try) return false;
  auto role = instance.role == Role::kTemplate ? Role::kTemplate : Role::kOnDemand;
  EndInstance(instance, false);
  Make({.role = role, .init_limit = version_->timeout, .second_try = true});
  return true;
}

}  // namespace samovar
