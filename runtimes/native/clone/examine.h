#pragma once
// Whether a program in C may be cloned. Writes the payload of its TEMPLATE frame; 1 or 0.
#include <stddef.h>

int samovar_examine(char* report, size_t size);
