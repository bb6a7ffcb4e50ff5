#include "collections/graph.h"

#include <fmt/format.h>

#include "collections/checksum.h"
#include "collections/graph_advice.h"

namespace samovar {

using layout::GraphHeader;

std::string GraphPath(const std::string& folder, std::uint64_t number) {
  return fmt::format("{}/graph-{}", folder, number);
}

Result<std::unique_ptr<Graph>> Graph::Open(const std::string& folder, std::uint64_t number,
                                           std::uint64_t capacity, MappedFile::Access access) {
  const std::string path = GraphPath(folder, number);
  auto graph = std::make_unique<Graph>();
  TRY(graph->file_, MappedFile::Open(path, access, layout::kPage));
  const char* base = graph->file_.Data();
  graph->header_ = reinterpret_cast<const GraphHeader*>(base);
  const GraphHeader& h = *graph->header_;
  const std::size_t size = graph->file_.Size();
  bool good = std::memcmp(h.magic, layout::kGraphMagic, 8) == 0 && h.version == layout::kVersion &&
              h.header_hash == Checksum({base, offsetof(GraphHeader, header_hash)});
  good = good && h.segment == number && h.rows > 0 && h.rows <= capacity &&
         h.levels <= layout::kMaxLevels && h.links_at == layout::kPage && h.upper_at <= size &&
         h.rows <= (h.upper_at - h.links_at) / (layout::kLinks * sizeof(std::uint32_t));
  for (std::uint32_t level = 0; good && level < h.levels; ++level) {
    const auto& [at, count] = h.level[level];
    good = at >= h.upper_at && at <= size && count > 0 &&
           count <= (size - at) / sizeof(layout::GraphNode);
  }
  constexpr layout::GraphAdvice kNone{};
  good = good && (std::memcmp(&h.advice, &kNone, sizeof(kNone)) == 0 || IsAdvice(h.advice));
  if (!good) {
    return Fail(Code::kInternal, path + " is damaged at offset 0: it is no graph of the segment");
  }
  graph->links_ = reinterpret_cast<const std::uint32_t*>(base + h.links_at);
  return graph;
}

bool Graph::LinksFit() const {
  const GraphHeader& h = *header_;
  auto fits = [](const std::uint32_t* links, std::size_t count, std::uint64_t below) {
    return std::all_of(links, links + count, [below](std::uint32_t link) {
      return link == layout::kNoLink || link < below;
    });
  };
  if (!fits(links_, h.rows * layout::kLinks, h.rows)) return false;
  for (std::uint32_t level = 1; level <= h.levels; ++level) {
    const std::uint64_t below = level == 1 ? h.rows : h.level[level - 2].count;
    const std::uint64_t count = h.level[level - 1].count;
    for (std::uint64_t i = 0; i < count; ++i) {
      const layout::GraphNode& node = Nodes(level)[i];
      if (node.row >= h.rows || node.below >= below) return false;
      if (!fits(node.links, layout::kUpperLinks, count)) return false;
    }
  }
  return true;
}

Result<void> Graph::Verify() const {
  const GraphHeader& h = *header_;
  const char* base = file_.Data();
  const bool good =
      Checksum({base + h.links_at, h.rows * layout::kLinks * sizeof(std::uint32_t)}) ==
          h.links_hash &&
      Checksum({base + h.upper_at, file_.Size() - h.upper_at}) == h.upper_hash && LinksFit();
  if (good) return {};
  return Fail(Code::kInternal,
              fmt::format("graph-{} is damaged: it has another checksum", h.segment));
}

}  // namespace samovar
