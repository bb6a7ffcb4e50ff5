// What InstanceService ends when memory is short, and in which order.

#include <fmt/format.h>

#include <algorithm>

#include "instances/instance_pool.h"
#include "instances/instance_service.h"

namespace samovar {
namespace {

constexpr std::uint64_t kSpareShare = 8;  // of the budget, for all spares together
constexpr std::chrono::minutes kTooLarge{5};
// As the host has it: so many processes are kept booted, and one takes about this until it is
// known.
constexpr std::size_t kMostBooted = 4;
constexpr Bytes kOneBooted = Bytes::MiB(48);
constexpr std::chrono::seconds kBootAgain{30};

}  // namespace

bool InstanceService::MakeRoom(Bytes need, const InstancePool* who) {
  if (memory_used_.count == 0) {  // what is larger than the budget runs alone
    if (!Fits(need)) DropBooted();
    return true;
  }
  while (MemoryInUse() - ending_memory_ + need > options_.memory_budget) {
    if (!DropSpare() && !DropBooted() && !DropIdleTemplate(who) && !EvictIdle()) return false;
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

// All of them: one spares a start some of its time, as a spare does nearly all of it.
bool InstanceService::DropBooted() {
  if (booted_.empty()) return false;
  booted_.clear();
  boot_again_ = clock_.Now() + kBootAgain;
  host_.DropBooted();
  return true;
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
  Bytes sum;
  for (const auto& booted : booted_) sum = sum + booted.memory;
  return sum;
}

// They save a part of a start only, so they get a small part of the budget.
bool InstanceService::MayBootAhead(const SandboxSpec& spec) {
  std::string kind = BootKind(spec);
  if (auto at = std::ranges::find(booted_, kind, &Booted::kind); at != booted_.end()) {
    booted_.splice(booted_.begin(), booted_, at);
    return true;
  }
  if (clock_.Now() < boot_again_) return false;
  const bool one_more = booted_.size() < kMostBooted;
  const Bytes all{(BootedMemory() + kOneBooted).count * kSpareShare};
  if (one_more && (all > options_.memory_budget || !Fits(kOneBooted))) return false;
  if (!one_more) booted_.pop_back();
  booted_.push_front({std::move(kind), kOneBooted});
  return true;
}

std::string InstanceService::BootKind(const SandboxSpec& spec) {
  return fmt::format("{} {}", spec.argv.empty() ? "" : spec.argv.front(), spec.cpus);
}

void InstanceService::LearnBooted(std::string_view kind, Bytes memory) {
  auto at = std::ranges::find(booted_, kind, &Booted::kind);
  if (at == booted_.end() || memory.count == 0) return;
  at->memory = std::max(memory, options_.memory_floor);
}

bool InstanceService::MaySpare(Bytes need) const {
  if (!Fits(need)) return false;
  Bytes spares;
  for (const auto& [key, pool] : pools_) spares = spares + pool->SpareMemory();
  return spares + need <= Bytes{options_.memory_budget.count / kSpareShare};
}

}  // namespace samovar
