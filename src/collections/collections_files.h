#pragma once
// What Collections does with folders and descriptors of whole collections.
// Threads  Safe, as far as no two calls are about one folder.

#include <cstdint>
#include <string>

#include "base/error.h"

namespace samovar {

inline constexpr const char* kMeta = "/meta";  // in a collection's folder; without it it is none

// Removes what is in a folder, but leaves the folder itself: sandboxes may have it mounted.
void Empty(const std::string& folder);

// Each collection has four files open or more, for as long as the server runs. They may not take
// what calls and connections need: `eighths` of all. New ones get half, as old ones grow by
// segments. Errors: kThrottled.
Result<void> CheckRoomForFiles(std::uint64_t eighths);

}  // namespace samovar
