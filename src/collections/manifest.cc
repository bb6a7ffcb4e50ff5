#include "collections/manifest.h"

#include <cstring>

#include "collections/checksum.h"

namespace samovar {

std::string ManifestPath(const std::string& folder, std::uint64_t number) {
  return folder + "/manifest-" + std::to_string(number);
}

std::string EncodeManifest(const ManifestData& manifest) {
  layout::Manifest head{};
  std::memcpy(head.magic, layout::kManifestMagic, 8);
  head.number = manifest.number;
  head.first_generation = manifest.first_generation;
  head.count = manifest.segments.size();
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
  for (const auto& [name, graph, cells] : manifest.segments) {
    const layout::ManifestEntry entry{name.number, name.live,
                                      (graph ? 1U : 0U) | (cells ? 2U : 0U)};
    bytes.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
  }
  const std::uint64_t hash = Checksum(bytes);
  return bytes.append(reinterpret_cast<const char*>(&hash), sizeof(hash));
}

Result<ManifestData> DecodeManifest(std::string_view bytes, const std::string& name) {
  layout::Manifest head{};
  std::uint64_t hash = 0;
  auto damaged = [&] { return Fail(Code::kInternal, name + " is damaged"); };
  if (bytes.size() < sizeof(head) + sizeof(hash)) return damaged();
  std::memcpy(&head, bytes.data(), sizeof(head));
  const std::string_view hashed = bytes.substr(0, bytes.size() - sizeof(hash));
  std::memcpy(&hash, bytes.data() + hashed.size(), sizeof(hash));
  if (std::memcmp(head.magic, layout::kManifestMagic, 8) != 0 || Checksum(hashed) != hash ||
      head.count != (hashed.size() - sizeof(head)) / sizeof(layout::ManifestEntry)) {
    return damaged();
  }
  ManifestData manifest{head.number, head.first_generation, {}};
  for (std::uint64_t i = 0; i < head.count; ++i) {
    layout::ManifestEntry entry{};
    std::memcpy(&entry, bytes.data() + sizeof(head) + i * sizeof(entry), sizeof(entry));
    manifest.segments.push_back(
        {{entry.segment, entry.live}, (entry.files & 1) != 0, (entry.files & 2) != 0});
  }
  return manifest;
}

}  // namespace samovar
