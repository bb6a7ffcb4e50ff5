#pragma once
// SharedTrees: what a lock with hashes determines, installed once and read by every project of the
// user that has the same lock.
//
// Why      Twenty projects on one library install and compile it once.
// How      A folder under the user's cache, named by the hash of all that decides its content. It
//          is made only by tools that run no code of packages, and appears whole or not at all;
//          builds cannot write to it. Those that no build used for 30 days go when one is made.
// Errors   kInvalid where it cannot be written.
// Threads  One; several processes.

#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"

namespace samovar {

// "" where there is none; else it counts as used now.
std::string FindSharedTree(const std::string& key);

// Makes it by make(staging), which says whether it could; "" where not, or where there is no home.
Result<std::string> MakeSharedTree(
    const std::string& key,
    const std::function<Result<bool>(const std::filesystem::path& staging)>& make);

// What of this machine decides which wheels are taken.
std::string PlatformText();

}  // namespace samovar
