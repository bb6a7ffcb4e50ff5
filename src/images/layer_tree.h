#pragma once
// LayerTree: the folder that a layer is unpacked into. Paths are those of the layer; they are
// resolved with the folder as root, so that no link leads out of it.
// Errors   kInvalid naming the entry; others from the file system.
// Threads  One.

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

class LayerTree {
 public:
  using Path = std::vector<std::string>;  // components, none of them "" or "." or ".."

  explicit LayerTree(int root) : root_(root) {}  // not owned

  // "./a//b/" -> {"a", "b"}. kInvalid for ".." and NUL.
  static Result<Path> Split(std::string_view name);

  Result<void> MakeFolder(const Path& path);
  Result<Fd> MakeFile(const Path& path);  // replaces what was there, unless that is a folder
  Result<void> MakeSymlink(const Path& path, const std::string& target);
  Result<void> MakeHardLink(const Path& path, const Path& target);
  // The name is gone from what lies below this layer.
  Result<void> Remove(const Path& path);
  // So is everything in the folder.
  Result<void> RemoveBelow(const Path& folder);
  // Whether this layer has no folder where the path needs one, so that nothing of the layers below
  // is seen there.
  bool Hides(const Path& path) const;

 private:
  Result<Fd> Parent(const Path& path);  // of the last component; made where it is missing
  Result<Fd> OpenFolder(const std::string& path);
  Result<void> MakeRoom(int parent, const Path& path);

  int root_;
};

// "a/b", for messages.
std::string ShowPath(const LayerTree::Path& path);

}  // namespace samovar
