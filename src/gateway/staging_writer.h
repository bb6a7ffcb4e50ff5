#pragma once
// StagingWriter: one upload on its way into the PackageStore.
// How      The file is made at the first byte, and removed again unless it was taken.
// Errors   The store's; kUnavailable when the disk refuses; kTooLarge past `bound`.
// Threads  Every call may block: on the pool.

#include <fstream>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "store/package_store.h"

namespace samovar {

class StagingWriter {
 public:
  StagingWriter(PackageStore& packages, Bytes bound) : packages_(packages), bound_(bound) {}
  ~StagingWriter();
  StagingWriter(const StagingWriter&) = delete;
  StagingWriter& operator=(const StagingWriter&) = delete;

  Result<void> Append(std::string_view bytes);
  // Ends the file (an empty one where nothing came) and says where it is. It is removed with this
  // object, unless whoever took it has moved it by then.
  Result<std::string> Close();

 private:
  Result<void> Open();

  PackageStore& packages_;
  Bytes bound_;
  std::string path_;
  std::ofstream file_;
  Bytes written_;
};

}  // namespace samovar
