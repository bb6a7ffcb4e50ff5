#include "instances/concurrency_limits.h"

#include <algorithm>
#include <utility>

namespace samovar {

struct ConcurrencyLimits::Permit::Function {
  std::string name;
  int running = 0;
  int own = 0;       // of those, drawn on what it reserved or has provisioned
  int reserved = 0;  // as last told; 0 where there is no reservation
};

ConcurrencyLimits::Permit::Permit(ConcurrencyLimits* limits, Function* function, bool own)
    : limits_(limits), function_(function), own_(own) {
  ++limits_->running_;
  ++function_->running;
  ++(own_ ? function_->own : limits_->running_unreserved_);
}

ConcurrencyLimits::Permit::Permit(Permit&& other) noexcept
    : limits_(std::exchange(other.limits_, nullptr)),
      function_(other.function_),
      own_(other.own_) {}

ConcurrencyLimits::Permit::~Permit() {
  if (!limits_) return;
  --limits_->running_;
  --function_->running;
  --(own_ ? function_->own : limits_->running_unreserved_);
}

ConcurrencyLimits::ConcurrencyLimits(int account, std::function<int()> reserved_total)
    : account_(account), reserved_total_(std::move(reserved_total)) {}
ConcurrencyLimits::~ConcurrencyLimits() = default;

int ConcurrencyLimits::Unreserved() const {
  return account_ - (reserved_total_ ? reserved_total_() : known_reserved_);
}

Result<ConcurrencyLimits::Permit> ConcurrencyLimits::Admit(const std::string& function,
                                                           std::optional<int> reserved,
                                                           int provisioned) {
  auto& slot = functions_[function];
  if (!slot) slot = std::make_unique<Permit::Function>(Permit::Function{.name = function});
  known_reserved_ += reserved.value_or(0) - slot->reserved;
  slot->reserved = reserved.value_or(0);
  if (reserved && slot->running >= *reserved) {
    return Fail(Code::kThrottled, "Rate Exceeded.", "TooManyRequestsException",
                "ReservedFunctionConcurrentInvocationLimitExceeded");
  }
  bool own = reserved || slot->own < provisioned;
  if (!own && running_unreserved_ >= Unreserved()) {
    return Fail(Code::kThrottled, "Rate Exceeded.", "TooManyRequestsException",
                "ConcurrentInvocationLimitExceeded");
  }
  return Permit(this, slot.get(), own);
}

void ConcurrencyLimits::Forget(const std::string& function) {
  auto at = functions_.find(function);
  if (at == functions_.end() || at->second->running > 0) return;
  known_reserved_ -= at->second->reserved;
  functions_.erase(at);
}

}  // namespace samovar
