#pragma once
// WriteGraph: the file of a graph that was built (layout::GraphHeader).
// Errors   What the disk says; kUnavailable when `stopped`.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collections/disk.h"
#include "collections/graph_levels.h"
#include "collections/row_codes.h"

namespace samovar {

struct GraphParts {
  std::uint64_t segment = 0;
  const BuiltCodes& codes;
  const std::vector<std::unique_ptr<GraphLevel>>& levels;
  layout::GraphAdvice advice;
};

Result<void> WriteGraph(Disk& disk, const std::string& path, const GraphParts& parts,
                        const std::function<bool()>& stopped);

// Of that file, without the levels above level 0.
std::uint64_t LeastGraphBytes(const Schema& schema, std::uint64_t rows);

std::unexpected<Error> Stopping();

}  // namespace samovar
