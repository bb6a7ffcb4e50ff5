#pragma once
// EntryPath: the name of a zip entry, cut into components that are safe to create one by one.
// Errors   kInvalid naming the entry: empty, absolute, with "..", a NUL, or too long.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

// "./a//b/" -> {"a", "b"}; "./" -> {}.
Result<std::vector<std::string>> SplitEntryPath(std::string_view name);

// Whether a symlink at `location` (its own components) with this target stays inside the tree,
// judged by the text alone.
bool LinkStaysInside(const std::vector<std::string>& location, std::string_view target);

}  // namespace samovar
