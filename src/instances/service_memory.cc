// What InstanceService ends when memory is short, and in which order.

#include <fmt/format.h>

#include <algorithm>

#include "instances/instance_pool.h"
#include "instances/instance_service.h"

namespace samovar {
namespace {

constexpr std::uint64_t kSpareShare = 8;  // of the budget, for all spares together
constexpr std::chrono::minutes kTooLarge{5};
// As the host has it: so many processes are kept booted, and one takes about this.
constexpr std::size_t kMostBooted = 4;
constexpr Bytes kOneBooted = Bytes::MiB(48);

}  // namespace

bool InstanceService::MakeRoom(Bytes need, const InstancePool* who) {
  if (memory_used_.count == 0) return true;  // what is larger than the budget runs alone
  while (MemoryInUse() - ending_memory_ + need > options_.memory_budget) {
    if (!DropSpare() && !DropIdleTemplate(who) && !EvictIdle()) return false;
  }
  // What was ended just now is free once it has ended; its end asks again.
  return Fits(need);
}

// Of the version that was used longest ago.
bool InstanceService::DropSpare() {
  InstancePool* owner = nullptr;
  for (auto& [key, pool] : pools_) {
    if (!pool->HasSpare() || (owner && owner->LastUse() <= pool->LastUse())) continue;
    owner = pool.get();
  }
  if (owner) owner->DropSpare();
  return owner != nullptr;
}

bool InstanceService::DropIdleTemplate(const InstancePool* who) {
  InstancePool* owner = nullptr;
  for (auto& [key, pool] : pools_) {
    if (pool.get() == who || !pool->HasIdleTemplate()) continue;
    if (owner && owner->LastUse() <= pool->LastUse()) continue;
    owner = pool.get();
  }
  if (owner) owner->DropTemplate({});
  return owner != nullptr;
}

bool InstanceService::EvictIdle() {
  InstancePool* owner = nullptr;
  Instance* oldest = nullptr;
  for (auto& [key, pool] : pools_) {
    Instance* idle = pool->LeastRecentlyUsed();
    if (!idle || (oldest && oldest->IdleSince() <= idle->IdleSince())) continue;
    oldest = idle;
    owner = pool.get();
  }
  if (oldest) owner->Evict(*oldest);
  return oldest != nullptr;
}

void InstanceService::DropTemplateThatFillsTheBudget(InstancePool& pool) {
  Bytes held = pool.TemplateMemory();
  if (held.count == 0 || memory_used_ - ending_memory_ > held) return;
  pool.DropTemplate(kTooLarge);
}

Bytes InstanceService::BootedMemory() const {
  return Bytes{kOneBooted.count * booted_kinds_.size()};
}

// They are not given back for want of memory, so they get a small part of the budget only.
bool InstanceService::MayBootAhead(const SandboxSpec& spec) {
  std::string kind = fmt::format("{} {}", spec.argv.empty() ? "" : spec.argv.front(), spec.cpus);
  if (auto at = std::ranges::find(booted_kinds_, kind); at != booted_kinds_.end()) {
    booted_kinds_.splice(booted_kinds_.begin(), booted_kinds_, at);
    return true;
  }
  const bool one_more = booted_kinds_.size() < kMostBooted;
  const Bytes all{(BootedMemory() + kOneBooted).count * kSpareShare};
  if (one_more && (all > options_.memory_budget || !Fits(kOneBooted))) return false;
  if (!one_more) booted_kinds_.pop_back();
  booted_kinds_.push_front(std::move(kind));
  return true;
}

bool InstanceService::MaySpare(Bytes need) const {
  if (!Fits(need)) return false;
  Bytes spares;
  for (const auto& [key, pool] : pools_) spares = spares + pool->SpareMemory();
  return spares + need <= Bytes{options_.memory_budget.count / kSpareShare};
}

}  // namespace samovar
