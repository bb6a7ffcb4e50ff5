#include "collections/codes.h"

#include <gtest/gtest.h>

#include <random>

#include "collections/vectors.h"

namespace samovar {
namespace {

std::vector<float> Random(std::mt19937& random, std::uint32_t dimension, float size) {
  std::normal_distribution<float> normal;
  std::vector<float> values(dimension);
  for (float& value : values) value = size * normal(random);
  return values;
}

// `count` rows and their codes.
struct Coded {
  Coded(const Schema& schema, const std::vector<std::vector<float>>& rows)
      : bytes(schema.storage == Storage::kI8 ? schema.RowBytes() : CodeBytes(schema)) {
    for (const auto& row : rows) {
      const auto its = EncodeVector(schema, row).value();
      stored += its.bytes;
      facts.push_back({.inverse_norm = its.inverse_norm, .scale = its.scale});
      if (schema.storage == Storage::kI8) {
        codes += its.bytes;
        code_facts.push_back(FactsOfCode(schema, facts.back()));
      } else {
        std::string code(bytes, 'x');
        code_facts.push_back(
            EncodeRow(schema, DecodeVector(schema, its.bytes.data(), its.scale), code.data()));
        codes += code;
      }
    }
  }
  RowCodes Rows() const { return {codes.data(), code_facts.data(), bytes}; }

  std::size_t bytes;
  std::string stored;
  std::vector<layout::Facts> facts;
  std::string codes;
  std::vector<layout::CodeFacts> code_facts;
};

TEST(Codes, RankRowsNearlyAsTheRowsDo) {
  std::mt19937 random(3);
  for (auto metric : {Metric::kCosine, Metric::kDot, Metric::kL2}) {
    for (auto storage : {Storage::kF32, Storage::kF16, Storage::kI8}) {
      for (std::uint32_t dimension : {1U, 8U, 31U, 32U, 33U, 96U, 128U, 161U, 768U}) {
        const Schema schema{dimension, metric, storage};
        std::vector<std::vector<float>> points;
        for (int i = 0; i < 100; ++i) points.push_back(Random(random, dimension, 3));
        const Coded rows(schema, points);
        const auto values = Random(random, dimension, 3);
        const auto query = QueryVector::Of(schema, values).value();
        std::vector<float> wanted(100);
        query.Rank(rows.stored.data(), 100, rows.facts.data(), wanted.data());
        std::vector<std::uint32_t> list(100);
        for (std::uint32_t i = 0; i < 100; ++i) list[i] = 99 - i;
        CodeQuery code(schema);
        code.Become(values);
        std::vector<float> found(100);
        code.Rank(rows.Rows(), list.data(), 100, found.data());
        // A hundredth of what the product of two such rows may be.
        const float length = 9 * static_cast<float>(dimension);
        const float near = 0.02F * (metric == Metric::kCosine ? 1 : length);
        for (std::size_t i = 0; i < 100; ++i) {
          ASSERT_NEAR(found[i], wanted[list[i]], near)
              << MetricName(metric) << " " << StorageName(storage) << " " << dimension;
        }
        // A row as the query.
        code.Become(rows.Rows(), 7);
        const auto row =
            DecodeVector(schema, rows.stored.data() + 7 * schema.RowBytes(), rows.facts[7].scale);
        QueryVector::Of(schema, row)
            .value()
            .Rank(rows.stored.data(), 100, rows.facts.data(), wanted.data());
        code.Rank(rows.Rows(), list.data(), 100, found.data());
        for (std::size_t i = 0; i < 100; ++i) ASSERT_NEAR(found[i], wanted[list[i]], near);
      }
    }
  }
}

TEST(Codes, OfWhatIsZeroOrHasHardlyAnythingAreZero) {
  for (const float tiny : {0.0F, 1e-40F}) {
    const Schema schema{40, Metric::kCosine, Storage::kF32};
    const Coded rows(schema, {std::vector<float>(40, tiny), std::vector<float>(40, 1.0F)});
    for (const float value : {tiny, 1.0F}) {
      CodeQuery query(schema);
      query.Become(std::vector<float>(40, value));
      const std::uint32_t row = value == tiny ? 1 : 0;
      float rank = 1;
      query.Rank(rows.Rows(), &row, 1, &rank);
      EXPECT_EQ(rank, 0) << tiny << " " << value;
    }
  }
}

}  // namespace
}  // namespace samovar
