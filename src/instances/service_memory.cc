// What InstanceService ends when memory is short, and in which order.

#include "instances/instance_pool.h"
#include "instances/instance_service.h"

namespace samovar {
namespace {

constexpr std::uint64_t kSpareShare = 8;  // of the budget, for all spares together
constexpr std::chrono::minutes kTooLarge{5};

}  // namespace

bool InstanceService::MakeRoom(Bytes need, const InstancePool* who) {
  if (memory_used_.count == 0) return true;  // what is larger than the budget runs alone
  while (memory_used_ - ending_memory_ + need > options_.memory_budget) {
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

bool InstanceService::MaySpare(Bytes need) const {
  if (!Fits(need)) return false;
  Bytes spares;
  for (const auto& [key, pool] : pools_) spares = spares + pool->SpareMemory();
  return spares + need <= Bytes{options_.memory_budget.count / kSpareShare};
}

}  // namespace samovar
