#pragma once
// UnpackZip: a hostile zip into a directory, piece by piece.
//
// How      As TreeWriter says; set-id bits, owners and other types never come through. Times stay
//          only where something may be matched by them: on Python sources, in a package that also
//          has compiled ones. All other files get the least time that a zip knows, so that the same
//          content is the same file, whoever packed it.
// Errors   kInvalid, naming the entry at fault; kTooLarge past a bound; kUnavailable when the disk
//          fails. What was written so far is left for the caller to remove.

#include <string>

#include "base/error.h"
#include "store/kept_files.h"
#include "store/package_store.h"

namespace samovar {

// REQUIRES: `directory` exists and is empty. Returns after its contents are on disk.
// With `kept`, files are shared with those of other packages.
Result<void> UnpackZip(const std::string& zip_path, const std::string& directory,
                       const PackageOptions& options, KeptFiles* kept = nullptr);

}  // namespace samovar
