#include "functions/collection_access.h"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>

namespace samovar {

Result<std::vector<CollectionAccess>> ParseCollectionAccess(std::string_view tag) {
  static const RE2 kOne(
      R"(\s*([a-z0-9][a-z0-9_-]{0,63})(?::(rw|r))?(?:@(pinned|latest|[1-9][0-9]{0,17}))?\s*)");
  std::vector<CollectionAccess> access;
  while (!tag.empty()) {
    const std::size_t comma = tag.find(',');
    const std::string one(tag.substr(0, comma));
    std::string name;
    std::string rights;
    std::string which;
    if (!RE2::FullMatch(one, kOne, &name, &rights, &which)) {
      return Fail(Code::kInvalid, std::string(kCollectionsTag) +
                                      ": expected names as films:rw or " +
                                      "users:r, separated by commas, got \"" + one + "\"");
    }
    CollectionAccess its{name, rights == "rw", which == "pinned"};
    std::from_chars(which.data(), which.data() + which.size(), its.generation);
    if (its.writable && (its.pinned || its.generation != 0)) {
      return Fail(Code::kInvalid, std::string(kCollectionsTag) + ": " + one +
                                      ": a generation that is kept can be read, not written");
    }
    access.push_back(std::move(its));
    tag.remove_prefix(comma == std::string_view::npos ? tag.size() : comma + 1);
  }
  return access;
}

std::string CollectionAccess::Stored() const {
  return generation == 0 ? name : name + "@" + std::to_string(generation);
}

std::string WithPins(const std::string& tag, const CollectionPins& pins) {
  const auto access = ParseCollectionAccess(tag);
  if (!access) return tag;
  std::string text;
  for (CollectionAccess one : *access) {
    const auto pin = pins.find(one.name);
    if (one.pinned && pin != pins.end()) one.generation = pin->second;
    text += (text.empty() ? "" : ",") + one.name + (one.writable ? ":rw" : ":r");
    if (one.generation != 0) text += "@" + std::to_string(one.generation);
  }
  return text;
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

std::string CollectionRights::Stored(const std::string& name) const {
  const auto* named = Find(name);
  return named ? named->Stored() : name;
}

bool CollectionRights::MayWrite(std::string_view name) const {
  const auto* named = Find(name);
  return named && named->writable;
}

}  // namespace samovar
