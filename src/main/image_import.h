#pragma once
// Bringing container images to the server: from files, or from a registry by skopeo.
// Errors   Those of ImageArchive and of the server; skopeo's last line where it fails.
// Threads  One; blocks.

#include <string>

#include "base/clock.h"
#include "main/api_client.h"
#include "main/terminal.h"

namespace samovar {

struct ImageImport {
  std::string source;     // a file or folder; a registry's reference for PullImage
  std::string name;       // "": as the image says itself, else as its file is called
  std::string tag;        // of several in a layout
  bool insecure = false;  // PullImage: plain HTTP, or a certificate that cannot be checked
};

struct ImportedImage {
  std::string name;    // with its tag
  std::string digest;  // "sha256:..."
  std::size_t layers = 0, sent = 0;
};

// Sends the layers that the server has not, then the image under its name.
Result<ImportedImage> ImportImage(const ApiClient& client, const Terminal& terminal,
                                  const Clock& clock, const ImageImport& asked);
Result<ImportedImage> PullImage(const ApiClient& client, const Terminal& terminal,
                                const Clock& clock, const ImageImport& asked);

}  // namespace samovar
