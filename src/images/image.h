#pragma once
// Image: what a container image says of itself: its layers, and how its program is started.
//
// Errors   kInvalid naming the field: no JSON, a digest that does not fit, another processor.
// Threads  None: values, and pure functions.
// Source   OCI image specification 1.1 (manifest, configuration); Docker's image manifest,
//          schema 2, which says the same in the members that are read here.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

struct Image {
  std::string digest;               // hex SHA-256 of the manifest
  std::vector<std::string> layers;  // hex SHA-256 of the uncompressed tars, lowest first
  std::vector<std::string> entrypoint, command;
  std::string working_folder;            // absolute, or ""
  std::vector<std::string> environment;  // NAME=value
  std::vector<int> ports;                // TCP ports that it says it listens on
  std::string created;                   // as it says
};
using ImagePtr = std::shared_ptr<const Image>;

// Of a manifest and the configuration that it names.
Result<Image> ReadImage(std::string_view manifest, std::string_view configuration);

// "shop" -> "shop:latest"; "shop:1" stays. kInvalid for what is no image name.
Result<std::string> FullImageName(std::string_view name);

// The 64 digits of "sha256:DIGITS"; kInvalid naming `what`.
Result<std::string> ReadDigest(std::string_view text, std::string_view what);

}  // namespace samovar
