#include "collections/graph.h"

#include <fmt/format.h>

#include "collections/checksum.h"
#include "collections/graph_advice.h"

namespace samovar {

using layout::GraphHeader;

std::string GraphPath(const std::string& folder, std::uint64_t number) {
  return fmt::format("{}/graph-{}", folder, number);
}

namespace {

// Whether there are codes of every row, where the header says, or none.
bool CodesFit(const GraphHeader& h, const layout::SegmentHeader& segment) {
  if (h.code_bytes == 0) {
    return h.codes_at == 0 && h.facts_at == layout::kPage && h.links_at >= layout::kPage &&
           h.links_at % layout::kPage == 0;
  }
  const bool own = segment.storage == static_cast<std::uint8_t>(Storage::kI8);
  const std::uint64_t bytes = own ? segment.row_bytes : CodeBytes({.dimension = segment.dimension});
  if (h.code_bytes != bytes || h.codes_at != (own ? 0 : layout::kPage)) return false;
  const std::uint64_t codes = own ? 0 : h.rows * bytes;
  return h.facts_at == layout::kPage + codes && h.links_at % layout::kPage == 0 &&
         h.links_at >= h.facts_at + h.rows * sizeof(layout::CodeFacts);
}

}  // namespace

Result<std::unique_ptr<Graph>> Graph::Open(const std::string& folder,
                                           const layout::SegmentHeader& segment,
                                           MappedFile::Access access) {
  const std::string path = GraphPath(folder, segment.number);
  auto graph = std::make_unique<Graph>();
  TRY(graph->file_, MappedFile::Open(path, access, layout::kPage));
  const char* base = graph->file_.Data();
  graph->header_ = reinterpret_cast<const GraphHeader*>(base);
  const GraphHeader& h = *graph->header_;
  const std::size_t size = graph->file_.Size();
  if (std::memcmp(h.magic, layout::kOldGraphMagic, 8) == 0) {
    return Fail(Code::kUnsupported, path + " is of an older format, without codes of the rows");
  }
  bool good = std::memcmp(h.magic, layout::kGraphMagic, 8) == 0 && h.version == layout::kVersion &&
              h.header_hash == Checksum({base, offsetof(GraphHeader, header_hash)});
  good = good && h.segment == segment.number && h.rows > 0 && h.rows <= segment.rows &&
         h.levels <= layout::kMaxLevels && CodesFit(h, segment) && h.upper_at <= size &&
         h.links_at <= h.upper_at &&
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
  const char* own = reinterpret_cast<const char*>(&segment) + segment.vectors_at;
  graph->codes_ = {h.codes_at == 0 ? own : base + h.codes_at,
                   reinterpret_cast<const layout::CodeFacts*>(base + h.facts_at), h.code_bytes};
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
      Checksum({base + layout::kPage, h.facts_at - layout::kPage}) == h.codes_hash &&
      Checksum({base + h.facts_at, h.links_at - h.facts_at}) == h.facts_hash &&
      Checksum({base + h.links_at, h.rows * layout::kLinks * sizeof(std::uint32_t)}) ==
          h.links_hash &&
      Checksum({base + h.upper_at, file_.Size() - h.upper_at}) == h.upper_hash && LinksFit();
  if (good) return {};
  return Fail(Code::kInternal,
              fmt::format("graph-{} is damaged: it has another checksum", h.segment));
}

}  // namespace samovar
