#pragma once
// ConcurrencyLimits: how many invocations may be under way at once, in all and of one function.
//
// Why      As on AWS: what one function reserved no other can take, and it cannot take more itself.
// How      Counts admitted invocations (running, or queued for an instance) by function. A function
//          with a reservation draws on that only; the others share what is not reserved. One with
//          provisioned concurrency and no reservation draws on that first, then on what is shared.
// Errors   kThrottled, "Rate Exceeded.", with Lambda's reason.
// Threads  The event loop only. A Permit must not outlive its limits.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/error.h"

namespace samovar {

class ConcurrencyLimits {
 public:
  // Holds one unit while it lives.
  class Permit {
   public:
    Permit(Permit&& other) noexcept;
    Permit& operator=(Permit&&) = delete;
    ~Permit();

   private:
    friend class ConcurrencyLimits;
    struct Function;
    Permit(ConcurrencyLimits* limits, Function* function, bool own);
    ConcurrencyLimits* limits_;
    Function* function_;
    bool own_;  // drawn on the function's own share
  };

  // `reserved_total`: what all functions have reserved; where null, what Admit was told.
  explicit ConcurrencyLimits(int account, std::function<int()> reserved_total = {});
  ~ConcurrencyLimits();

  // `provisioned`: what all configurations of the function ask for together.
  Result<Permit> Admit(const std::string& function, std::optional<int> reserved,
                       int provisioned = 0);
  // Of a function that is gone; does nothing while a permit of it lives.
  void Forget(const std::string& function);
  std::size_t Functions() const { return functions_.size(); }
  int Running() const { return running_; }

 private:
  int Unreserved() const;

  int account_;
  std::function<int()> reserved_total_;
  int known_reserved_ = 0;
  int running_ = 0;
  int running_unreserved_ = 0;
  std::unordered_map<std::string, std::unique_ptr<Permit::Function>> functions_;
};

}  // namespace samovar
