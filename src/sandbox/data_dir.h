#pragma once
// DataDir: the server's folder, made, locked and handed to the user that the server becomes.
// Errors   kConflict: another server holds it. kDenied: that user could not pass through a folder
//          on the way (named). Others from the file system.

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

struct DataDir {
  std::string path;  // canonical
  std::string name;  // DataDirName(path)
  Fd lock;
  uid_t uid = 0;  // who the server becomes
  gid_t gid = 0;
};

// "samovar-" and 12 digits that stand for the canonical path, the same in every life.
std::string DataDirName(const std::string& path);

// As root the owner is changed where it is not yet `uid`; otherwise the caller's own ids are used.
// An earlier life may still be tidying up: the lock is waited for as long as `patience`.
Result<DataDir> OpenDataDir(const std::string& path, std::optional<uid_t> uid,
                            std::optional<gid_t> gid,
                            std::chrono::milliseconds patience = std::chrono::seconds(8));

}  // namespace samovar
