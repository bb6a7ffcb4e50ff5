#include "collections/graph_file.h"

#include <cstring>

#include "collections/checksum.h"
#include "collections/piece_writer.h"

namespace samovar {
namespace {

template <class T>
std::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Parts of a file one after the other.
class Parts {
 public:
  Parts(PieceWriter& out, const std::function<bool()>& stopped) : out_(out), stopped_(stopped) {}

  Result<void> Add(std::string_view part) {
    for (std::size_t at = 0; at < part.size(); at += kHugePage) {
      if (stopped_()) return Stopping();
      TRY(out_.Add(part.substr(at, kHugePage)));
    }
    return {};
  }

 private:
  PieceWriter& out_;
  const std::function<bool()>& stopped_;
};

// The levels above level 0, which are to stand from `at` on.
std::string UpperLevels(const GraphParts& parts, std::uint64_t at, layout::GraphHeader& header) {
  std::string upper;
  for (std::uint32_t l = 1; l <= header.levels; ++l) {
    const GraphLevel& level = *parts.levels[l];
    header.level[l - 1] = {at + upper.size(), level.Count()};
    for (std::uint32_t i = 0; i < level.Count(); ++i) {
      layout::GraphNode node{};
      node.row = level.RowOf(i);
      node.below = parts.levels[l - 1]->NodeOf(node.row);
      level.Links(i, node.links);
      upper.append(reinterpret_cast<const char*>(&node), sizeof(node));
    }
  }
  return upper;
}

}  // namespace

std::unexpected<Error> Stopping() { return Fail(Code::kUnavailable, "the server is stopping"); }

std::uint64_t LeastGraphBytes(const Schema& schema, std::uint64_t rows) {
  const std::uint64_t code = schema.storage == Storage::kI8 ? 0 : CodeBytes(schema);
  const std::uint64_t links = layout::kLinks * sizeof(std::uint32_t);
  return layout::kPage + rows * (code + sizeof(layout::CodeFacts) + links);
}

Result<void> WriteGraph(Disk& disk, const std::string& path, const GraphParts& parts,
                        const std::function<bool()>& stopped) {
  const std::string_view codes = parts.codes.Made();
  std::string facts(BytesOf(parts.codes.Facts()));
  const std::string_view links = BytesOf(parts.levels[0]->Words());
  layout::GraphHeader header{};
  std::memcpy(header.magic, layout::kGraphMagic, 8);
  header.version = layout::kVersion;
  header.levels = static_cast<std::uint32_t>(parts.levels.size()) - 1;
  header.segment = parts.segment;
  header.rows = parts.levels[0]->Count();
  header.codes_at = codes.empty() ? 0 : layout::kPage;
  header.code_bytes = parts.codes.Rows().bytes;
  header.facts_at = layout::kPage + codes.size();
  const std::uint64_t end = header.facts_at + facts.size();
  header.links_at = (end + layout::kPage - 1) / layout::kPage * layout::kPage;
  facts.resize(header.links_at - header.facts_at, '\0');
  header.codes_hash = Checksum(codes);
  header.facts_hash = Checksum(facts);
  header.links_hash = Checksum(links);
  header.upper_at = header.links_at + links.size();
  const std::string upper = UpperLevels(parts, header.upper_at, header);
  header.upper_hash = Checksum(upper);
  header.advice = parts.advice;
  header.header_hash = Checksum(
      {reinterpret_cast<const char*>(&header), offsetof(layout::GraphHeader, header_hash)});
  std::string page(layout::kPage, '\0');
  std::memcpy(page.data(), &header, sizeof(header));
  TRY(Fd file, disk.Create(path));
  PieceWriter pieces(disk, file.Get(), path, Pages::kHuge);
  Parts out(pieces, stopped);
  for (const std::string_view part :
       {std::string_view(page), codes, std::string_view(facts), links, std::string_view(upper)}) {
    TRY(out.Add(part));
  }
  return pieces.Finish();
}

}  // namespace samovar
