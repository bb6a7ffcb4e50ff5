#pragma once
// CollectionAccess: which collections a function sees, as its tag samovar:collections says it.
// Errors   kInvalid, with what is wrong.

#include <optional>
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

// What one function may do with collections by name.
class CollectionRights {
 public:
  CollectionRights() = default;  // nothing
  // Of a function with this tag, or with none: then it reads all where `all`.
  static Result<CollectionRights> Of(const std::optional<std::string>& tag, bool all);

  bool MayRead(std::string_view name) const;
  bool MayWrite(std::string_view name) const;
  bool Any() const { return all_ || !named_.empty(); }

 private:
  const CollectionAccess* Find(std::string_view name) const;

  bool all_ = false;
  std::vector<CollectionAccess> named_;
};

}  // namespace samovar
