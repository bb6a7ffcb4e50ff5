#include "instances/concurrency_limits.h"

#include <algorithm>
#include <utility>

namespace samovar {

struct ConcurrencyLimits::Permit::Function {
  std::string name;
  int running = 0;
  int reserved = 0;  // as last told; 0 where there is no reservation
};

ConcurrencyLimits::Permit::Permit(ConcurrencyLimits* limits, Function* function, bool reserved)
    : limits_(limits), function_(function), reserved_(reserved) {}

ConcurrencyLimits::Permit::Permit(Permit&& other) noexcept
    : limits_(std::exchange(other.limits_, nullptr)),
      function_(other.function_),
      reserved_(other.reserved_) {}

ConcurrencyLimits::Permit::~Permit() {
  if (!limits_) return;
  --limits_->running_;
  if (!reserved_) --limits_->running_unreserved_;
  --function_->running;
}

ConcurrencyLimits::ConcurrencyLimits(int account, std::function<int()> reserved_total)
    : account_(account), reserved_total_(std::move(reserved_total)) {}
ConcurrencyLimits::~ConcurrencyLimits() = default;

int ConcurrencyLimits::Unreserved() const {
  return account_ - (reserved_total_ ? reserved_total_() : known_reserved_);
}

Result<ConcurrencyLimits::Permit> ConcurrencyLimits::Admit(const std::string& function,
                                                           std::optional<int> reserved) {
  auto& slot = functions_[function];
  if (!slot) slot = std::make_unique<Permit::Function>(Permit::Function{.name = function});
  known_reserved_ += reserved.value_or(0) - slot->reserved;
  slot->reserved = reserved.value_or(0);
  if (reserved && slot->running >= *reserved) {
    return Fail(Code::kThrottled, "Rate Exceeded.", "TooManyRequestsException",
                "ReservedFunctionConcurrentInvocationLimitExceeded");
  }
  if (!reserved && running_unreserved_ >= Unreserved()) {
    return Fail(Code::kThrottled, "Rate Exceeded.", "TooManyRequestsException",
                "ConcurrentInvocationLimitExceeded");
  }
  ++running_;
  ++slot->running;
  if (!reserved) ++running_unreserved_;
  return Permit(this, slot.get(), reserved.has_value());
}

}  // namespace samovar
