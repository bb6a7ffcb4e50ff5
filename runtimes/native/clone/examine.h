#pragma once
// Whether a program in C may be cloned. Writes the payload of its TEMPLATE frame; 1 or 0.
#include <stddef.h>

struct samovar_template;

int samovar_examine(const struct samovar_template* about, char* report, size_t size);
