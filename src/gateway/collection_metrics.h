#pragma once
// CollectionMetrics: what writes to collections waited for, in Prometheus' text form.
// Units    Seconds, as Prometheus has them.

#include <string>

#include "collections/commit_times.h"

namespace samovar {

// samovar_collection_commit_seconds, by stage; to go after Books::MetricsText().
std::string CollectionMetrics(const CommitTimes& times);

}  // namespace samovar
