#pragma once
// ProvisionedConcurrency: instances that are kept ready whatever the traffic is.
//
// How      The registry says all targets at once, at the start and after each change; a version
//          that is not among them wants none. Its key is Version::Key.
// Errors   What fails is said in ProvisionedStatus::failure; it is tried again.
// Threads  The event loop only.

#include <string>
#include <vector>

#include "functions/provisioned.h"

namespace samovar {

class ProvisionedConcurrency {
 public:
  virtual ~ProvisionedConcurrency() = default;

  // Replaces all targets.
  virtual void SetTargets(std::vector<ProvisionedTarget> targets) = 0;
  // All zero for a version without a target.
  virtual ProvisionedStatus Status(const std::string& version_key) const = 0;
};

}  // namespace samovar
