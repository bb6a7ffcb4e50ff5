#pragma once
// Inventory: what lies in a package: its native files, its Python distributions, its links.
// Errors   Folders that cannot be read are left out.
// Threads  Values.

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "packages/sandbox_view.h"
#include "packages/wheels.h"

namespace samovar {

struct NativeFile {
  std::string inside;   // "/var/task/numpy/core/_multiarray_umath.cpython-311-x86_64-linux-gnu.so"
  std::string outside;  // where it lies on the host
};

struct BadLink {
  std::string inside;
  bool escapes = false;  // else it leads to nothing
};

struct Inventory {
  std::size_t files = 0;
  bool whole = true;                // false: the time was over before the end
  std::vector<NativeFile> natives;  // ELF by their first bytes
  std::vector<Wheel> wheels;
  std::vector<BadLink> bad_links;
  std::set<std::string> all;  // every file, inside
};

// Of a layer's python/lib/python3.X only the folder of `runtime` is gone into.
Inventory TakeInventory(const std::vector<SandboxView::Place>& roots, const std::string& runtime,
                        std::chrono::steady_clock::time_point end);

}  // namespace samovar
