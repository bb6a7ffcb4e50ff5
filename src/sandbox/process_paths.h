#pragma once
// Paths of isolation "process": a spec's inside paths turned into the host's.
//
// How      Without mounts a program must be told where things really are: the longest target that
//          is a whole-component prefix is replaced by its source. Environment values are mapped
//          element by element between colons, and an element under a target with overlays becomes
//          one element for each layer, the last layer first.

#include <string>

#include "sandbox/sandbox.h"

namespace samovar {

// Maps argv, env and cwd; TMPDIR becomes `tmp`; AWS_LAMBDA_RUNTIME_API becomes `runtime_api` where
// that is not empty.
SandboxSpec ToHostPaths(SandboxSpec spec, const std::string& tmp, const std::string& runtime_api);

}  // namespace samovar
