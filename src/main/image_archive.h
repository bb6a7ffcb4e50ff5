#pragma once
// ImageArchive: a container image in files: an OCI layout (a folder, or a tar of one) or what
// `docker save` writes.
//
// How      A tar is unpacked into a folder of the archive's own, which goes with it: only plain
//          files, by name. What is in the layers is not looked at: the server unpacks them.
// Errors   kInvalid naming the file and what it lacks.
// Threads  One.
// Source   OCI image layout 1.1; Docker's image specification 1.2 (manifest.json).

#include <string>
#include <vector>

#include "base/error.h"

namespace samovar {

class ImageArchive {
 public:
  struct Layer {
    std::string diff_id;  // "sha256:..." of the uncompressed tar
    std::string file;     // a tar, perhaps compressed
  };

  // `tag` chooses among several images of a layout; "" where there is one for this processor.
  static Result<ImageArchive> Open(const std::string& path, const std::string& tag);
  ~ImageArchive();
  ImageArchive(ImageArchive&& other) noexcept;
  ImageArchive(const ImageArchive&) = delete;

  std::string manifest, configuration;  // byte for byte
  std::vector<Layer> layers;            // lowest first
  std::string name;                     // as it says itself, or ""

 private:
  ImageArchive() = default;
  Result<void> Unpack(const std::string& tar);
  Result<void> ReadLayout(const std::string& tag);
  Result<void> ReadDockerSave();
  Result<void> AddLayers(const std::vector<std::string>& files);
  Result<std::string> File(const std::string& name) const;
  Result<std::string> Blob(const std::string& digest) const;

  std::string folder_;
  std::string own_folder_;  // to be removed; "" for none
};

}  // namespace samovar
