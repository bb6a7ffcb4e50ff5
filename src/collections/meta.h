#pragma once
// Meta: what makes a folder a collection, as JSON (docs/formats/collections.md).
// Errors   Decode: kInternal, with the file's name.

#include <string>

#include "base/clock.h"
#include "collections/schema.h"

namespace samovar {

struct CollectionMeta {
  Schema schema;
  std::uint64_t hash_seed = 0;
  WallTime created;
  std::string about = {};  // what its maker wants to find again with it
};

std::string EncodeMeta(const CollectionMeta& meta);
Result<CollectionMeta> DecodeMeta(std::string_view text, const std::string& name);

}  // namespace samovar
