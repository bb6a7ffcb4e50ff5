#include "instances/scheduler.h"

#include <cmath>

namespace samovar {

void MovingAverage::Add(std::chrono::nanoseconds value) {
  if (value.count() < 0) value = {};
  // Weighs the newest by 1/8: about the last ten count.
  value_ = value_ ? *value_ + (value - *value_) / 8 : value;
}

std::chrono::nanoseconds Scheduler::DebtAt(SteadyTime now) const {
  if (debt_.count() == 0) return debt_;
  double halvings =
      std::chrono::duration<double>(now - debt_at_) / std::chrono::duration<double>(kDebtHalfLife);
  return std::chrono::nanoseconds(
      static_cast<std::int64_t>(static_cast<double>(debt_.count()) * std::exp2(-halvings)));
}

void Scheduler::RecordWait(SteadyTime now, std::chrono::nanoseconds waited) {
  debt_ = DebtAt(now) + waited;
  debt_at_ = now;
}

bool Scheduler::ShouldStart(SteadyTime now, const PoolLoad& load) const {
  if (load.waiting <= load.starting) return false;
  std::size_t serving = load.ready + load.starting;
  if (serving == 0) return true;
  auto start = load.clones ? clone_.Value() : start_.Value();
  auto call = call_.Value();
  if (!start || !call) return true;
  auto position = static_cast<std::int64_t>(load.waiting - load.starting);
  auto expected = *call * position / static_cast<std::int64_t>(serving);
  if (expected > *start || load.oldest_wait > *start) return true;
  // One start at a time is bought by the waits of many.
  return load.starting == 0 && DebtAt(now) > *start;
}

}  // namespace samovar
