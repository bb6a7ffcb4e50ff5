#pragma once
// What a sandbox sees as its files, beside the shared tree (root_tree.h): /proc, /tmp and /dev/shm,
// and the mounts of its spec.
//
// Errors   kInvalid for a source that cannot be opened (named); others from the kernel.
// Threads  The calling process is the only one in its mount namespace.

#include <string>
#include <vector>

#include "base/error.h"
#include "os/fd.h"
#include "sandbox/sandbox.h"

namespace samovar {

// Sources are opened while the host's tree is still the root.
struct OpenMount {
  const BindMount* mount;
  Fd tree;                  // without overlays: a sealed copy of the source's mount
  std::vector<Fd> overlay;  // with: the layers, highest first
};
Result<std::vector<OpenMount>> OpenSources(const SandboxSpec& spec);
// Covers the shared tree at `root` with the spec's image, /dev and the platform's own files over
// it.
Result<void> CoverWithImage(const std::string& root, const SandboxSpec& spec);
Result<void> MountSources(const std::vector<OpenMount>& opened);

// A /proc is mounted at `at`: what leaks about the host is covered (with `null`, a device), what
// steers it is read-only, as container runtimes do it.
Result<void> CoverProc(const std::string& at, const std::string& null);

// One tmpfs at `at`, where only root may look, with folders "tmp" and "shm" for everyone: /tmp and
// /dev/shm share a budget.
Result<void> MountTmpfs(const std::string& at, Bytes size);

}  // namespace samovar
