#pragma once
// Manifest: which segments a collection is made of, as a file beside them (layout::Manifest).
// Errors   kInternal for one that is damaged.

#include <vector>

#include "collections/disk.h"
#include "collections/segment.h"

namespace samovar {

struct ManifestData {
  std::uint64_t number = 0;
  std::uint64_t first_generation = 0;
  struct Part {
    SegmentName name;
    bool graph = false;  // its graph is there
    bool cells = false;
  };
  std::vector<Part> segments;
};

std::string ManifestPath(const std::string& folder, std::uint64_t number);
std::string EncodeManifest(const ManifestData& manifest);
Result<ManifestData> DecodeManifest(std::string_view bytes, const std::string& name);

}  // namespace samovar
