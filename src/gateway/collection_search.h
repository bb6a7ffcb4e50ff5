#pragma once
// CollectionSearch: a search as a door has it: its body read, the rows found, the answer written.
//
// Why      To hand work to the pool and back costs as much as a search through a graph: what is
//          known to be quick is done on the loop.
// How      Without a filter, where no more needs to be read than kQuickly has time for, and the
//          answer is short. What turns out to be more is begun anew on the pool.
// Errors   kInvalid, naming the place; kPrecondition for a generation that is not there yet.
// Threads  Any.

#include <chrono>
#include <string>

#include "base/blocking.h"
#include "collections/collection.h"

namespace samovar {

// All that others wait for one search.
inline constexpr std::chrono::microseconds kQuickly{300};
inline constexpr std::size_t kShortBody = 32 << 10;
inline constexpr std::size_t kFewHits = 100;
inline constexpr std::size_t kShortAnswer = 64 << 10;

// Whether the attributes of these rows are few enough to be written on the loop.
bool IsShortAnswer(const Snapshot& snapshot, const std::vector<Hit>& hits);

// Generations become visible before they are acknowledged, so none that a caller was told is waited
// for.
Result<Snapshot> SnapshotOf(const Collection& collection, std::uint64_t min_generation);

// The answer's JSON.
Task<Result<std::string>> SearchCollection(BlockingPool& pool,
                                           std::shared_ptr<Collection> collection,
                                           std::string body);

}  // namespace samovar
