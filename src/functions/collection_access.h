#pragma once
// CollectionAccess: which collections a function sees, as its tag samovar:collections says it.
// Errors   kInvalid, with what is wrong.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

inline constexpr std::string_view kCollectionsTag = "samovar:collections";

struct CollectionAccess {
  std::string name;
  bool writable = false;
};

// "films:rw,users:r"; a name alone may be read. Empty: none.
Result<std::vector<CollectionAccess>> ParseCollectionAccess(std::string_view tag);

}  // namespace samovar
