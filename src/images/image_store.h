#pragma once
// ImageStore: container images by content. A layer is unpacked once, by the digest of its tar,
// and every image that has it uses the same folder.
//
// How      DIR/layers/DIGEST holds a layer (`tree`, and `about.json`), DIR/images/DIGEST.json an
//          image's manifest and configuration, DIR/names.json which name means which image;
//          docs/formats/images.md. All appear by rename after a sync, so half a layer is never
//          used; what was staged is removed at open. An upload that broke off goes on with the
//          layers that are missing.
// Errors   kInvalid for documents and layers that are wrong, naming what; kTooLarge past a bound;
//          kNotFound for a name or digest that is not there.
// Threads  Safe. What reads or writes the disk may block, as said.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "images/image.h"

namespace samovar {

struct ImageOptions {
  std::string unpacker;                 // the program samovar-layer
  Bytes max_unpacked = Bytes::GiB(10);  // of a layer
  std::uint64_t max_files = 2'000'000;
};

struct StoredImage {
  ImagePtr image;
  std::vector<std::string> names;
  Bytes size;  // of its layers
};

// What naming an image came to: done, or the layers (hex) that must come first.
struct ImageNamed {
  ImagePtr image;
  std::vector<std::string> missing;
};

class ImageStore {
 public:
  virtual ~ImageStore() = default;

  virtual bool HasLayer(const std::string& diff_id) const = 0;
  // Unpacks a file that holds the layer; the file stays the caller's. Blocks.
  virtual Result<void> TakeLayer(const std::string& diff_id, const std::string& file) = 0;
  // `name` means this image from now on, unless layers are missing. Blocks.
  virtual Result<ImageNamed> Name(std::string_view name, const std::string& manifest,
                                  const std::string& configuration) = 0;
  // By "NAME", "NAME:TAG", "NAME@sha256:DIGEST" or "sha256:DIGEST".
  virtual Result<ImagePtr> Find(std::string_view reference) const = 0;
  virtual Result<StoredImage> Show(std::string_view reference) const = 0;
  virtual std::vector<StoredImage> List() const = 0;
  // Takes a name away; functions that use the image keep it. Blocks.
  virtual Result<void> Forget(std::string_view name) = 0;
  // Folders to lay over each other, lowest first.
  virtual std::vector<std::string> Folders(const Image& image) const = 0;
  // Removes what has no name and is not in `used` (image digests), unless it came within the last
  // hour. Blocks.
  virtual Result<void> Collect(const std::set<std::string>& used) = 0;
};

Result<std::unique_ptr<ImageStore>> OpenImageStore(const std::string& directory,
                                                   ImageOptions options);

}  // namespace samovar
