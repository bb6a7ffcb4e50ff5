#pragma once
// Random identifiers. Each call reads a per-process generator seeded from the kernel; a forked
// process must not go on using its parent's (no process of ours forks after its first id).
// Threads  Safe.

#include <string>

namespace samovar {

std::string NewUuid();                // "8476a536-e9f4-11e8-9739-2dfe598c3fcd", version 4
std::string RandomHex(int digits);    // lower case
std::string RandomLowerAlnum(int n);  // [a-z0-9], e.g. for function URL ids

}  // namespace samovar
