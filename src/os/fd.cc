#include "os/fd.h"

#include <unistd.h>

namespace samovar {

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace samovar
