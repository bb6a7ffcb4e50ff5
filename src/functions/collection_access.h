#pragma once
// CollectionAccess: which collections a function sees, as its tag samovar:collections says it.
// Errors   kInvalid, with what is wrong.

#include <cstdint>
#include <map>
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
  bool pinned = false;           // each published version reads the generation of its publication
  std::uint64_t generation = 0;  // that it reads; 0: the newest

  // What is read, as src/collections calls it: "films", "films@123".
  std::string Stored() const;
};

// "films:rw,users:r,old:r@123,ads:r@pinned"; a name alone may be read. Empty: none.
Result<std::vector<CollectionAccess>> ParseCollectionAccess(std::string_view tag);

// The generations that a published version has pinned, by name of collection.
using CollectionPins = std::map<std::string, std::uint64_t>;
// The tag with those in the place of @pinned; what is not among them follows the newest.
std::string WithPins(const std::string& tag, const CollectionPins& pins);

// What one function may do with collections by name.
class CollectionRights {
 public:
  CollectionRights() = default;  // nothing
  // Of a function with this tag, or with none: then it reads all where `all`.
  static Result<CollectionRights> Of(const std::optional<std::string>& tag, bool all);

  bool MayRead(std::string_view name) const;
  bool MayWrite(std::string_view name) const;
  // What a name that may be read stands for (CollectionAccess::Stored).
  std::string Stored(const std::string& name) const;
  bool Any() const { return all_ || !named_.empty(); }

 private:
  const CollectionAccess* Find(std::string_view name) const;

  bool all_ = false;
  std::vector<CollectionAccess> named_;
};

}  // namespace samovar
