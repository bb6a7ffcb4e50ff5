#pragma once
// How much of a processor a function's memory gives it.
// Source   AWS: at 1,769 MB a function has the equivalent of one vCPU.

#include "base/bytes.h"

namespace samovar {

inline constexpr Bytes kMemoryOfOneCpu = Bytes::MiB(1769);

// Processors; less than one for a small function.
constexpr double CpuShare(Bytes memory) {
  return static_cast<double>(memory.WholeMiB()) / static_cast<double>(kMemoryOfOneCpu.WholeMiB());
}

}  // namespace samovar
