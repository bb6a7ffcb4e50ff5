#include "gateway/collection_metrics.h"

#include <fmt/format.h>

#include "instances/books.h"

namespace samovar {

std::string CollectionMetrics(const CommitTimes& times) {
  std::string out;
  const std::string name = "samovar_collection_commit_seconds";
  AppendMetricHead(out, name, "histogram", "What batches of collections took, by stage.");
  for (std::size_t i = 0; i < CommitTimes::kStages.size(); ++i) {
    const std::string_view stage = CommitTimes::kStages[i];
    const auto its = times.Of(static_cast<CommitStage>(i));
    std::uint64_t total = 0;
    for (std::size_t bound = 0; bound < its.counts.size(); ++bound) {
      total += its.counts[bound];
      const bool last = bound == CommitTimes::kBounds.size();
      const auto below = last ? "+Inf" : fmt::format("{}", CommitTimes::kBounds[bound]);
      AppendMetric(out, name + "_bucket", {{"stage", stage}, {"le", below}},
                   static_cast<double>(total));
    }
    AppendMetric(out, name + "_sum", {{"stage", stage}},
                 std::chrono::duration<double>(its.sum).count());
    AppendMetric(out, name + "_count", {{"stage", stage}}, static_cast<double>(total));
  }
  return out;
}

}  // namespace samovar
