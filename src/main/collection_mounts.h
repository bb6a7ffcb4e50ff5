#pragma once
// MountCollections: shows a function its collections, and no other.
//
// How      All: the folder of them all at /var/samovar/collections, in which new ones appear. Some:
//          each one's own folder, which stays there while no collection has the name, at
//          /var/samovar/collection/NUMBER: every sandbox sees the mount points of all, so these do
//          not say names. SAMOVAR_COLLECTIONS and SAMOVAR_COLLECTION_NAMES say which is which.
//          Beside them the door for writes (collection_doors.h), at SAMOVAR_COLLECTIONS_DOOR.
//          Without the tag, which gives no writes, only those have it that cannot map what they
//          read.
// Errors   kUnavailable where a folder or a socket cannot be made.

#include <string>

#include "functions/version.h"
#include "gateway/collection_doors.h"
#include "sandbox/sandbox.h"

namespace samovar {

// `live`: CollectionsOptions::live. `all`: what a function without the tag sees, all or none.
Result<void> MountCollections(SandboxSpec& spec, const Version& version, const std::string& live,
                              bool all, CollectionDoors& doors);

}  // namespace samovar
