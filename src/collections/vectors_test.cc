#include "collections/vectors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace samovar {
namespace {

std::vector<float> Random(std::mt19937& random, std::uint32_t dimension) {
  std::normal_distribution<float> normal;
  std::vector<float> values(dimension);
  for (float& value : values) value = normal(random);
  return values;
}

double Naive(Metric metric, const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0;
  double aa = 0;
  double bb = 0;
  double distance = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
    distance += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  }
  if (metric == Metric::kDot) return dot;
  return metric == Metric::kCosine ? dot / std::sqrt(aa * bb) : std::sqrt(distance);
}

TEST(Vectors, ScoresAreThoseOfTheDefinitionForWhatIsStored) {
  std::mt19937 random(7);
  for (auto metric : {Metric::kCosine, Metric::kDot, Metric::kL2}) {
    for (auto storage : {Storage::kF32, Storage::kF16, Storage::kI8}) {
      for (std::uint32_t dimension : {1U, 3U, 8U, 31U, 32U, 33U, 100U, 128U, 257U}) {
        const Schema schema{dimension, metric, storage};
        const auto wanted = Random(random, dimension);
        const auto query = QueryVector::Of(schema, wanted);
        ASSERT_TRUE(query);
        std::string rows;
        std::vector<layout::Facts> facts;
        for (int i = 0; i < 5; ++i) {
          auto encoded = EncodeVector(schema, Random(random, dimension));
          ASSERT_TRUE(encoded);
          ASSERT_EQ(encoded->bytes.size(), schema.RowBytes());
          rows += encoded->bytes;
          facts.push_back({encoded->inverse_norm, encoded->scale});
        }
        std::vector<float> ranks(5);
        query->Rank(rows.data(), 5, facts.data(), ranks.data());
        for (std::size_t i = 0; i < 5; ++i) {
          const auto stored =
              DecodeVector(schema, rows.data() + i * schema.RowBytes(), facts[i].scale);
          EXPECT_NEAR(query->ToScore(ranks[i]), Naive(metric, wanted, stored), 2e-3)
              << MetricName(metric) << " " << StorageName(storage) << " " << dimension;
        }
      }
    }
  }
}

TEST(Vectors, StorageKeepsWhatItsPrecisionAllows) {
  std::mt19937 random(8);
  const auto values = Random(random, 64);
  const std::pair<Storage, float> bounds[] = {
      {Storage::kF32, 0}, {Storage::kF16, 0.002F}, {Storage::kI8, 0.02F}};
  for (const auto& [storage, bound] : bounds) {
    const Schema schema{64, Metric::kDot, storage};
    const auto encoded = EncodeVector(schema, values);
    ASSERT_TRUE(encoded);
    const auto decoded = DecodeVector(schema, encoded->bytes.data(), encoded->scale);
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(decoded[i], values[i], bound);
  }
}

#if defined(__x86_64__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
// Only they multiply and add with one rounding: the square of 1 + 2^-13 ends in a 2^-26 that a
// float has no room for.
TEST(Vectors, AreComparedByWhatProcessorsOfTodayHave) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    GTEST_SKIP() << "this processor has neither AVX2 nor FMA";
  }
  const Schema schema{128, Metric::kDot, Storage::kF32};
  std::vector<float> row(128);
  std::vector<float> wanted(128);
  row[0] = -1;
  wanted[0] = 1 + 0x1p-12F;
  row[64] = wanted[64] = 1 + 0x1p-13F;  // added to the same lane
  const auto query = QueryVector::Of(schema, wanted);
  const auto encoded = EncodeVector(schema, row);
  ASSERT_TRUE(query && encoded);
  const layout::Facts facts{encoded->inverse_norm, encoded->scale};
  float rank = 0;
  query->Rank(encoded->bytes.data(), 1, &facts, &rank);
  EXPECT_EQ(rank, 0x1p-26F);
}
#endif

TEST(Vectors, RefusesWhatCannotBeStored) {
  const Schema f32{2, Metric::kCosine, Storage::kF32};
  const Schema f16{2, Metric::kCosine, Storage::kF16};
  EXPECT_EQ(EncodeVector(f32, std::vector<float>{1}).error().message,
            "vector: expected 2 numbers, got 1");
  EXPECT_FALSE(EncodeVector(f32, std::vector<float>{1, NAN}));
  EXPECT_FALSE(EncodeVector(f32, std::vector<float>{1, INFINITY}));
  EXPECT_FALSE(EncodeVector(f16, std::vector<float>{1, 70'000}));
  EXPECT_TRUE(EncodeVector(f32, std::vector<float>{1, 70'000}));
}

}  // namespace
}  // namespace samovar
