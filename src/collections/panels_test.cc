#include "collections/panels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "collections/vectors.h"

namespace samovar {
namespace {

struct Rows {
  Rows(const Schema& its, std::size_t count, unsigned seed) : schema(its), floats(its.dimension) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<float> values(schema.dimension);
      for (float& value : values) value = normal(random);
      const auto encoded = EncodeVector(schema, values);
      bytes += encoded->bytes;
      facts.push_back({encoded->inverse_norm, encoded->scale});
      floats.Add(schema, At(i));
    }
  }
  StoredVector At(std::size_t i) const { return {bytes.data() + i * schema.RowBytes(), facts[i]}; }
  // As they are compared one by one.
  std::vector<float> RanksOf(std::span<const float> query) const {
    std::vector<float> ranks(facts.size());
    QueryVector::Of(schema, query)->Rank(bytes.data(), facts.size(), facts.data(), ranks.data());
    return ranks;
  }

  Schema schema;
  std::string bytes;
  std::vector<layout::Facts> facts;
  FloatRows floats;
};

class PanelsTest : public ::testing::TestWithParam<std::tuple<Metric, Storage>> {
 protected:
  Schema Of(std::uint32_t dimension) const {
    return {dimension, std::get<0>(GetParam()), std::get<1>(GetParam())};
  }
  static void ExpectNear(float a, float b) {
    EXPECT_NEAR(a, b, 1e-3 * std::max(1.0F, std::abs(b)));
  }
};

TEST_P(PanelsTest, RankAsOneByOne) {
  for (const std::uint32_t dimension : {1U, 3U, 33U, 128U, 700U}) {
    for (const std::size_t count : {1UL, 16UL, 17UL, 40UL}) {
      const Rows vectors(Of(dimension), count, 1);
      const Rows rows(Of(dimension), Panels::kMostAtOnce + 5, 2);
      const Panels panels(vectors.schema.metric, vectors.floats);
      std::vector<std::vector<float>> ranks(rows.facts.size());
      for (std::size_t from = 0; from < ranks.size(); from += panels.AtOnce()) {
        const std::size_t some = std::min(ranks.size() - from, panels.AtOnce());
        panels.Rank(rows.floats, from, some,
                    [&](std::size_t row, std::size_t first, const Panels::Ranks& its) {
                      EXPECT_EQ(first, ranks[row].size());
                      ranks[row].insert(ranks[row].end(), its.begin(), its.end());
                    });
      }
      for (std::size_t row = 0; row < ranks.size(); ++row) {
        const auto wanted = vectors.RanksOf(rows.floats.At(row));
        ASSERT_GE(ranks[row].size(), count);
        for (std::size_t i = 0; i < count; ++i) ExpectNear(ranks[row][i], wanted[i]);
        for (std::size_t i = count; i < ranks[row].size(); ++i) EXPECT_EQ(ranks[row][i], -INFINITY);
      }
    }
  }
}

// All of them are far, so that places without a vector would be nearer.
TEST_P(PanelsTest, TheNearestIsOneOfTheVectors) {
  const Rows vectors(Of(24), 37, 3);
  FloatRows rows(24);
  for (std::size_t i = 0; i < Panels::kMostAtOnce; ++i) {
    std::vector<float> opposite(vectors.floats.At(i).begin(), vectors.floats.At(i).end());
    for (float& value : opposite) value *= -1;
    rows.Add(opposite);
  }
  const Panels panels(vectors.schema.metric, vectors.floats);
  std::array<Panels::Nearest, Panels::kMostAtOnce> nearest;
  panels.FindNearest(rows, 0, rows.Count(), nearest);
  for (std::size_t i = 0; i < rows.Count(); ++i) {
    const auto ranks = vectors.RanksOf(rows.At(i));
    ASSERT_LT(nearest[i].vector, 37U);
    ExpectNear(nearest[i].rank, std::ranges::max(ranks));
    ExpectNear(ranks[nearest[i].vector], nearest[i].rank);
  }
}

TEST_P(PanelsTest, NearRowsAreThoseThatAreNearestOneByOne) {
  const Rows rows(Of(16), 500, 4);
  const Rows vectors(Of(16), 20, 5);
  const auto found = FindNearRows(
      rows.schema, vectors.floats, 500, [&](std::uint64_t i) { return rows.At(i); }, 10,
      [] { return false; });
  ASSERT_EQ(found.size(), 20U);
  for (std::size_t i = 0; i < found.size(); ++i) {
    auto wanted = rows.RanksOf(vectors.floats.At(i));
    ASSERT_EQ(found[i].size(), 10U);
    for (const NearRow& near : found[i]) ExpectNear(near.rank, wanted[near.row]);
    std::vector<float> ranks;
    for (const NearRow& near : found[i]) ranks.push_back(near.rank);
    std::ranges::sort(ranks, std::greater());
    std::ranges::sort(wanted, std::greater());
    for (std::size_t j = 0; j < ranks.size(); ++j) ExpectNear(ranks[j], wanted[j]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, PanelsTest,
    ::testing::Combine(::testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2),
                       ::testing::Values(Storage::kF32, Storage::kF16, Storage::kI8)));

}  // namespace
}  // namespace samovar
