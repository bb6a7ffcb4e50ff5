#pragma once
// UnpackZip: a hostile zip into a directory, piece by piece.
//
// How      Entries are created relative to the directory's descriptor and never through a symlink;
//          symlinks are made last, when nothing is written any more, and each must lead to a place
//          inside the tree. Files become 0644, or 0755 where the zip has a run bit; directories
//          0755; set-id bits, owners and other types never come through. Modification times are
//          kept, as compiled Python files are matched by them. Memory is flat but for symlinks and
//          directories.
// Errors   kInvalid, naming the entry at fault; kTooLarge past a bound; kUnavailable when the disk
//          fails. What was written so far is left for the caller to remove.

#include <string>

#include "base/error.h"
#include "store/package_store.h"

namespace samovar {

// REQUIRES: `directory` exists and is empty. Returns after its contents are on disk.
Result<void> UnpackZip(const std::string& zip_path, const std::string& directory,
                       const PackageOptions& options);

}  // namespace samovar
