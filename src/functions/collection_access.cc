#include "functions/collection_access.h"

#include <re2/re2.h>

#include <algorithm>

namespace samovar {

Result<std::vector<CollectionAccess>> ParseCollectionAccess(std::string_view tag) {
  static const RE2 kOne(R"(\s*([a-z0-9][a-z0-9_-]{0,63})(?::(rw|r))?\s*)");
  std::vector<CollectionAccess> access;
  while (!tag.empty()) {
    const std::size_t comma = tag.find(',');
    const std::string one(tag.substr(0, comma));
    std::string name;
    std::string rights;
    if (!RE2::FullMatch(one, kOne, &name, &rights)) {
      return Fail(Code::kInvalid, std::string(kCollectionsTag) +
                                      ": expected names as films:rw or " +
                                      "users:r, separated by commas, got \"" + one + "\"");
    }
    access.push_back({name, rights == "rw"});
    tag.remove_prefix(comma == std::string_view::npos ? tag.size() : comma + 1);
  }
  return access;
}

Result<CollectionRights> CollectionRights::Of(const std::optional<std::string>& tag, bool all) {
  CollectionRights rights;
  rights.all_ = !tag && all;
  if (tag) {
    TRY(rights.named_, ParseCollectionAccess(*tag));
  }
  return rights;
}

const CollectionAccess* CollectionRights::Find(std::string_view name) const {
  const auto found = std::ranges::find(named_, name, &CollectionAccess::name);
  return found == named_.end() ? nullptr : &*found;
}

bool CollectionRights::MayRead(std::string_view name) const { return all_ || Find(name); }

bool CollectionRights::MayWrite(std::string_view name) const {
  const auto* named = Find(name);
  return named && named->writable;
}

}  // namespace samovar
