#pragma once
// NativeGroups: what of a package's native files can be loaded, one finding for what belongs
// together.
//
// Why      A wheel for another machine is one mistake, not a hundred files; and a wheel of which
//          one module of fifty misses an optional library works.
// How      Files belong together by the wheel that brought them, else by their top folder; for
//          Node.js by npm package, builds of one package for several platforms counting as one. A
//          Python module that is there for several Pythons is sound when one of them is for this
//          one. All failing is hopeless, some failing a doubt; a library that its own wheel lists
//          and the package lacks is hopeless.
// Threads  One.

#include <chrono>
#include <vector>

#include "packages/inventory.h"
#include "packages/libraries.h"
#include "packages/package_check.h"

namespace samovar {

// False where the time was over before every file was looked at.
bool CheckNatives(const PackageCheck& check, const Inventory& inventory,
                  std::chrono::steady_clock::time_point end, std::vector<Finding>& findings);

}  // namespace samovar
