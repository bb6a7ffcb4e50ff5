#include "samovar_clone.h"

int samovar_clone_supported(void) {
#if defined(__x86_64__)
  return 1;
#else
  return 0;
#endif
}
