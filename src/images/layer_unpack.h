#pragma once
// UnpackLayer: one layer of a container image (a tar, as it is or by gzip or zstd) becomes a folder
// that overlayfs can lay over others.
//
// How      Whiteouts become what overlayfs knows: a character device 0/0 for a removed name, the
//          attribute user.overlay.opaque for a folder whose lower contents are gone. Owners, set-id
//          bits and extended attributes are left out: a sandbox knows one user, who may read all of
//          its image. Every path is resolved as if the folder were the root, so nothing lands
//          outside, whatever the links of the layer say. All is on disk when it returns.
// Errors   kInvalid naming the entry: a device outside dev/, a path with "..", a hard link to what
//          is not there, damage; a digest that is not `diff_id`. kTooLarge past a bound.
// Threads  One per call; blocks. Runs in a process of its own (unpack_program), as layers are
//          anybody's bytes.
// Source   OCI image specification 1.1, "Image Layer Filesystem Changeset"; Linux,
//          Documentation/filesystems/overlayfs.rst.

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace samovar {

struct LayerBounds {
  Bytes max_unpacked = Bytes::GiB(10);
  std::uint64_t max_files = 2'000'000;
};

struct UnpackedLayer {
  Bytes size;               // of its files
  std::uint64_t files = 0;  // entries
  bool covers_all = false;  // its root is opaque: what lies below it does not show
};

// `layer` and `folder` are descriptors of a file and of an empty directory; `diff_id` is the hex
// SHA-256 of the uncompressed tar.
Result<UnpackedLayer> UnpackLayer(int layer, int folder, const std::string& diff_id,
                                  const LayerBounds& bounds);

}  // namespace samovar
