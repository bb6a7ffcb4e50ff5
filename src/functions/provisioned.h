#pragma once
// Provisioned concurrency as the registry and the instances speak of it to each other.
//
// How      The registry sums what the configurations of a version and of its aliases ask for; the
//          instances keep that many ready and say how many there are.
// Threads  Values.
// Source   Lambda's PutProvisionedConcurrencyConfig (botocore, lambda/2015-03-31).

#include <string>

#include "functions/version.h"

namespace samovar {

struct ProvisionedTarget {
  VersionPtr version;
  int count = 0;
};

// Of one version.
struct ProvisionedStatus {
  int available = 0;    // initialised, idle, or serving: ready without a start
  int allocated = 0;    // available, and of those which start now
  std::string failure;  // why no more come ("" while they may): the version's init fails
};

}  // namespace samovar
