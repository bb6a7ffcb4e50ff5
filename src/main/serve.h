#pragma once
// RunServe: `samovar serve` once its settings are read. Returns the process's exit code.

#include "main/config.h"

namespace samovar {

struct ServeOptions {
  Config config;
};

int RunServe(const ServeOptions& options);

}  // namespace samovar
