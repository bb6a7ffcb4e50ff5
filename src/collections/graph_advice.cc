#include "collections/graph_advice.h"

#include <algorithm>
#include <limits>

#include "collections/checksum.h"

namespace samovar {

using layout::GraphAdvice;

namespace {

// A million rows of 128 numbers take 55 ms to compare, a walk with 512 candidates less than one: it
// is preferred to them unless it finds much less.
constexpr float kExpected = 0.95F;
constexpr float kExpectedOfMany = 0.8F;
constexpr std::uint64_t kLong = 25'000'000;  // ns

// Of 200,000 rows of 128 numbers a walk with 64 candidates meets 837 rows in 59 us, one with 256
// 3,988 in 258.
constexpr std::uint64_t kMet = 50;  // ns, besides reading it

}  // namespace

std::uint64_t AdviceHash(const GraphAdvice& advice) {
  return Checksum({reinterpret_cast<const char*>(&advice), offsetof(GraphAdvice, hash)});
}

bool IsAdvice(const GraphAdvice& advice) {
  if (advice.hash != AdviceHash(advice) || advice.steps > layout::kAdviceSteps) return false;
  for (std::uint32_t step = 0; step < advice.steps; ++step) {
    const std::uint32_t before = step == 0 ? 0 : advice.width[step - 1];
    if (advice.width[step] <= before || advice.width[step] > layout::kMostAdvised) return false;
  }
  return true;
}

float LastNearness(const QueryVector& query, const std::vector<RankedNode>& best,
                   std::size_t hits) {
  if (best.empty()) return -std::numeric_limits<float>::infinity();
  std::vector<float> ranks;
  ranks.reserve(best.size());
  for (const RankedNode& each : best) ranks.push_back(each.rank);
  const auto last = ranks.begin() + static_cast<std::ptrdiff_t>(std::min(hits, ranks.size()) - 1);
  std::ranges::nth_element(ranks, last, std::greater());
  return query.Nearness(*last);
}

std::size_t AdvisedWidth(const GraphAdvice& advice, float nearness) {
  std::uint32_t step = 0;
  while (step + 1 < advice.steps && nearness <= advice.border[step]) ++step;
  return advice.width[step];
}

std::chrono::nanoseconds TimeOfAWalk(const Schema& schema, const RowCodes* codes, std::size_t kept,
                                     std::size_t met) {
  const std::uint64_t each = kMet + (codes ? codes->bytes : schema.RowBytes()) / 8;
  return std::chrono::nanoseconds(met * each + (codes ? kept * NanosecondsARow(schema) : 0));
}

std::chrono::nanoseconds TimeOfACode(const RowCodes& codes) {
  return std::chrono::nanoseconds(2 + codes.bytes / 16);
}

float Expected(const Schema& schema, std::uint64_t rows) {
  return rows * NanosecondsARow(schema) > kLong ? kExpectedOfMany : kExpected;
}

bool IsTooLittle(const GraphAdvice& advice, float nearness, float expected) {
  return advice.found < expected && nearness <= advice.border[advice.steps - 1];
}

}  // namespace samovar
