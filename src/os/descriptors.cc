#include "os/descriptors.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>

#include "os/fd.h"

namespace samovar {

void AllowManyDescriptors() {
  constexpr rlim_t kMost = 1 << 20;
  rlimit bound{};
  if (::getrlimit(RLIMIT_NOFILE, &bound) != 0) return;
  bound.rlim_cur = std::max(bound.rlim_cur, std::min(bound.rlim_max, kMost));
  ::setrlimit(RLIMIT_NOFILE, &bound);
}

Descriptors CountDescriptors() {
  rlimit bound{};
  ::getrlimit(RLIMIT_NOFILE, &bound);
  const Fd lowest(::eventfd(0, EFD_CLOEXEC));
  return {lowest ? static_cast<std::uint64_t>(lowest.Get()) : bound.rlim_cur, bound.rlim_cur};
}

}  // namespace samovar
