#include "samovar_clone.h"

int samovar_template_ready(void) { return 0; }
