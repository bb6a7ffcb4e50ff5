#pragma once
// RootTree: the read-only root that all sandboxes share, built once in the spawner's own mount
// namespace (so that it goes with the spawner, whatever ends it).
//
// How      A tmpfs with /usr bound in (its /usr/local and /usr/src covered), a small /etc and /dev
//          of our own, and mount points. A sandbox's namespace is a copy of the spawner's, so it
//          finds the tree in place; it adds /proc, /tmp and its own mounts and makes it its root.
//          Mount points are made through a second, writable view and stay for later sandboxes.
// Errors   kUnavailable and kDenied from the kernel, with what was tried; kInvalid for a mount
//          point that cannot be made.
// Threads  One.

#include <set>
#include <string>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

class RootTree {
 public:
  // Moves the calling process into a mount namespace of its own and builds the tree there.
  static Result<RootTree> Build();

  const std::string& path() const { return path_; }
  // Makes the mount point `target` (a path inside), a directory or an empty file. Where it lies in
  // a tree bound from the host (/usr, say) it must be there already.
  Result<void> MakeMountPoint(const std::string& target, bool directory);
  // The same for sandboxes with an image as their root.
  Result<void> MakeMountPointOverImages(const std::string& target, bool directory);

 private:
  std::string path_;
  Fd writable_;        // the tree's own tmpfs
  Fd writable_local_;  // the tmpfs that covers /usr/local
  std::set<std::string> made_;
};

// A folder of the tree, hidden in every sandbox: what lies over all images.
inline constexpr const char* kOverImages = "/mnt/image";

// The identity of user code inside, as on Lambda (sbx_user1051).
inline constexpr unsigned kInsideUid = 993;
inline constexpr unsigned kInsideGid = 990;

}  // namespace samovar
