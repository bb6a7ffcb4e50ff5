#include "collections/cells.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>

#include "collections/collection_model.h"
#include "collections/test_files.h"

namespace samovar {
namespace {

// With thousands of numbers a row, one row takes milliseconds: a stop is heeded after each.
TEST(Cells, WhoLooksForCentresHearsOfAStopAfterEachRow) {
  constexpr std::uint64_t kRows = 4096;
  const Schema schema{8, Metric::kL2, Storage::kF32};
  std::uint64_t vectors = 0;
  const auto vector = [&](std::uint64_t row) {
    ++vectors;
    std::vector<float> values(8);
    for (std::size_t i = 0; i < 8; ++i) values[i] = static_cast<float>(row * (i + 3) % 101);
    return values;
  };
  std::uint64_t asked = 0;
  EXPECT_GT(FindCentres(schema, kRows, vector, [&] { return ++asked == 0; }).Count(), 0U);
  const std::uint64_t sample = vectors;
  EXPECT_GE(asked, 3 * sample);  // to read the rows, and at least twice to sort them
  for (const std::uint64_t stop : {sample / 2, sample * 3 / 2, sample * 5 / 2}) {
    std::uint64_t so_far = 0;
    FindCentres(schema, kRows, vector, [&] { return ++so_far >= stop; });
    EXPECT_LE(so_far, stop + 8);
  }
}

class CentresTest : public ::testing::TestWithParam<Metric> {
 protected:
  static constexpr int kDimension = 256;
  static constexpr int kRows = 1200;

  void SetUp() override {
    ASSERT_TRUE(Collection::Create(disk_, Paths()));
    CollectionOptions options;
    options.first_rows = options.most_rows = kRows;
    options.small_rows = kRows;  // each flush makes a segment of its own
    rows_ = Collection::Open(disk_, clock_, Paths(), schema_, 7, options).value();
  }
  CollectionPaths Paths() const { return {folder_.Path() + "/kept", folder_.Path() + "/live"}; }
  // Sealed: rows near one of so many places; with none they are noise.
  void Flush(const std::vector<std::vector<float>>& places) {
    Batch batch(schema_);
    for (int i = 0; i < kRows; ++i) {
      auto vector = Noise(places.empty() ? 1 : 0.05F);
      if (!places.empty()) {
        const auto& place = places[random_() % places.size()];
        for (int d = 0; d < kDimension; ++d) vector[d] += place[d];
      }
      ASSERT_TRUE(batch.Put(std::to_string(id_++), vector, "{}"));
    }
    ASSERT_TRUE(CommitOne(*rows_, batch));
    ASSERT_TRUE(rows_->Flush());
  }
  std::vector<float> Noise(float width) {
    std::normal_distribution<float> normal(0, width);
    std::vector<float> values(kDimension);
    for (float& value : values) value = normal(random_);
    return values;
  }
  std::vector<std::vector<float>> Places(int count) {
    std::vector<std::vector<float>> places;
    for (int i = 0; i < count; ++i) places.push_back(Noise(1));
    return places;
  }
  // How many kinds of centres the segments stand around.
  std::size_t Kinds() const {
    std::set<std::uint64_t> kinds;
    const Snapshot now = rows_->Latest();
    for (const auto& segment : now.Parts().segments) {
      if (segment->RowCells()) kinds.insert(segment->RowCells()->CentresHash());
    }
    return kinds.size();
  }

  const Schema schema_{kDimension, GetParam(), Storage::kF32};
  TestFolder folder_;
  FailingDisk disk_;
  FakeClock clock_;
  std::mt19937 random_{11};
  int id_ = 0;
  std::shared_ptr<Collection> rows_;
};

TEST_P(CentresTest, AreFoundOnceForRowsThatLieInNoClusters) {
  for (int i = 0; i < 5; ++i) Flush({});
  EXPECT_EQ(Kinds(), 1U);
}

TEST_P(CentresTest, AreFoundAnewForRowsThatLieElsewhere) {
  const auto places = Places(20);
  for (int i = 0; i < 3; ++i) Flush(places);
  EXPECT_EQ(Kinds(), 1U);
  Flush(Places(20));
  EXPECT_EQ(Kinds(), 2U);
}

TEST(Centres, AreFoundFromABoundedSample) {
  for (const std::uint32_t dimension : {128U, 4096U, 16'384U}) {
    const Schema schema{dimension, Metric::kL2, Storage::kF32};
    std::uint64_t sampled = 0;
    std::uint64_t before = 0;
    const auto row = [&](std::uint64_t number) {
      ++sampled;
      return std::vector<float>(dimension, static_cast<float>(number % 7));
    };
    // Ends it when the sample is taken: what comes next takes long.
    const auto stopped = [&] { return std::exchange(before, sampled) == sampled && sampled > 0; };
    FindCentres(schema, 10'000'000, row, stopped);
    EXPECT_LE(sampled * dimension * sizeof(float), kMostSampleBytes) << dimension;
    EXPECT_GE(sampled, 1024U) << dimension;
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, CentresTest,
                         ::testing::Values(Metric::kDot, Metric::kCosine, Metric::kL2));

}  // namespace
}  // namespace samovar
