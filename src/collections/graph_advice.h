#pragma once
// GraphAdvice: how many rows a walk has to keep for a query, as a graph has it
// (layout::GraphAdvice).
//
// How      By how near the tenth is of what a narrow walk found (QueryVector::Nearness).
// Threads  Pure.

#include <chrono>
#include <vector>

#include "collections/graph_walk.h"
#include "collections/vectors.h"

namespace samovar {

inline constexpr std::size_t kAdvisedHits = 10;

// A row is waited for, then read: some 20 ns, and 8 bytes a nanosecond.
inline std::uint64_t NanosecondsARow(const Schema& schema) { return 20 + schema.RowBytes() / 8; }
// What a walk takes that compares `met` rows, by their codes unless `codes` is null, and at last
// those that it keeps.
std::chrono::nanoseconds TimeOfAWalk(const Schema& schema, const RowCodes* codes, std::size_t kept,
                                     std::size_t met);
// What each row takes where all codes are compared.
std::chrono::nanoseconds TimeOfACode(const RowCodes& codes);
// What a search in so many rows has to find of them, or else all are compared.
float Expected(const Schema& schema, std::uint64_t rows);

bool IsAdvice(const layout::GraphAdvice& advice);
std::uint64_t AdviceHash(const layout::GraphAdvice& advice);

// How near the last of the `hits` best is, which is what advice goes by.
float LastNearness(const QueryVector& query, const std::vector<RankedNode>& best,
                   std::size_t hits = kAdvisedHits);

// What a walk of width[0] has to be made again with, for how near the last of those is that count,
// the others being farther than what lies elsewhere; width[0]: it was enough.
// REQUIRES: advice.steps > 0.
std::size_t AdvisedWidth(const layout::GraphAdvice& advice, float nearness);
// Whether not even the last width finds `expected` of what lies that far.
bool IsTooLittle(const layout::GraphAdvice& advice, float nearness, float expected);

}  // namespace samovar
