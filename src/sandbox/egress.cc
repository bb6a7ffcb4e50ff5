#include "sandbox/egress.h"

namespace samovar {

Result<std::unique_ptr<Egress>> StartEgress(pid_t, int) {
  return Fail(Code::kUnsupported, "network egress is not supported on this host");
}

}  // namespace samovar
