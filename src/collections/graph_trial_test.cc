// What a graph says of itself: how many candidates a search takes that names none.

#include "collections/graph_trial.h"

#include <gtest/gtest.h>

#include <fstream>

#include "collections/collection_model.h"
#include "collections/graph_advice.h"
#include "collections/test_files.h"

namespace samovar {
namespace {

constexpr std::uint32_t kDimension = 128;
constexpr int kRows = 8000;
constexpr int kQueries = 60;

class GraphTrialTest : public ::testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Collection::Create(disk_, Paths()));
    films_ = Opened();
    for (auto& centre : centres_) centre = Noise();
    Fill();
  }
  // Other rows in place of those that are there.
  void Refill() {
    films_.reset();
    for (const auto& folder : {Paths().kept, Paths().live}) std::filesystem::remove_all(folder);
    ASSERT_TRUE(Collection::Create(disk_, Paths()));
    films_ = Opened();
    rows_.clear();
    Fill();
  }
  void Fill() {
    Batch batch(Its());
    for (int i = 0; i < kRows; ++i) {
      rows_.push_back(InACluster());
      ASSERT_TRUE(batch.Put(std::to_string(i), rows_.back(), ""));
    }
    ASSERT_TRUE(CommitOne(*films_, batch));
    ASSERT_TRUE(films_->Flush());
    MakeGraph();
  }
  Schema Its() const { return {kDimension, GetParam(), Storage::kF32}; }
  CollectionPaths Paths() const { return {folder_.Path() + "/kept", folder_.Path() + "/live"}; }
  std::shared_ptr<Collection> Opened() {
    CollectionOptions options;
    options.graph_rows = 100;
    options.most_rows = 8192;   // a graph is made at once, though there was much to write
    options.graph_threads = 1;  // two make another graph each time
    return Collection::Open(disk_, clock_, Paths(), Its(), 7, options).value();
  }
  void MakeGraph() {
    ASSERT_TRUE(films_->MakeGraph().value());
    ASSERT_TRUE(films_->ShowGraphs());
  }
  std::vector<float> Noise() {
    std::normal_distribution<float> normal;
    std::vector<float> values(kDimension);
    for (float& value : values) value = normal(random_);
    return values;
  }
  std::vector<float> InACluster() {
    auto values = Noise();
    const auto& centre = centres_[random_() % centres_.size()];
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += centre_part_ * centre[i];
    return values;
  }
  std::vector<float> BetweenClusters() {
    std::vector<float> values(kDimension);
    for (int i = 0; i < 5; ++i) {
      const auto& row = rows_[random_() % rows_.size()];
      for (std::size_t j = 0; j < values.size(); ++j) values[j] += row[j] / 5;
    }
    return values;
  }
  // The graph says that from now on.
  void Advise(const layout::GraphAdvice& advice) {
    films_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(Paths().live)) {
      if (!entry.path().filename().string().starts_with("graph-")) continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(offsetof(layout::GraphHeader, advice));
      file.write(reinterpret_cast<const char*>(&advice), sizeof(advice));
    }
    films_ = Opened();
  }
  // Of the ten nearest.
  double Found(const std::vector<std::vector<float>>& queries, std::size_t candidates) {
    const Snapshot snapshot = films_->Latest();
    std::size_t found = 0;
    for (const auto& query : queries) {
      const auto exact = snapshot.Search(query, 10, {}, {.exact = true}).value();
      const auto near = snapshot.Search(query, 10, {}, {.candidates = candidates}).value();
      for (const Hit& hit : near) {
        found += std::ranges::count(exact, hit.row.row, [](const Hit& h) { return h.row.row; }) > 0;
      }
    }
    return static_cast<double>(found) / static_cast<double>(10 * queries.size());
  }

  TestFolder folder_;
  Disk disk_;
  SystemClock clock_;
  std::mt19937 random_{11};
  std::array<std::vector<float>, 40> centres_;
  float centre_part_ = 0.7F;  // of noise
  std::vector<std::vector<float>> rows_;
  std::shared_ptr<Collection> films_;
};

TEST_P(GraphTrialTest, ASearchThatNamesNoCandidatesFindsWhatLiesBetweenClustersToo) {
  std::vector<std::vector<float>> among;
  std::vector<std::vector<float>> between;
  for (int i = 0; i < kQueries; ++i) {
    among.push_back(InACluster());
    between.push_back(BetweenClusters());
  }
  EXPECT_LT(Found(between, 64), 0.93);  // else this tests nothing
  EXPECT_GE(Found(between, 0), 0.95);
  EXPECT_GE(Found(among, 0), 0.95);
  const auto stats = films_->Stats();
  EXPECT_GT(stats.candidates, 64U);
  EXPECT_GE(stats.sample_recall, 0.95);
}

TEST_P(GraphTrialTest, AGraphThatWasMadeBeforeSaysNothingAndIsWalkedAsBefore) {
  const auto query = BetweenClusters();
  const auto before = films_->Latest().Search(query, 10, {}, {.candidates = 64}).value();
  Advise({});
  EXPECT_EQ(films_->Stats().graph_rows, static_cast<std::uint64_t>(kRows));
  EXPECT_EQ(films_->Stats().candidates, 0U);
  const auto after = films_->Latest().Search(query, 10).value();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_EQ(after[i].score, before[i].score);
}

TEST_P(GraphTrialTest, WhereNoWidthFindsEnoughAllRowsAreCompared) {
  std::vector<std::vector<float>> between;
  for (int i = 0; i < kQueries; ++i) between.push_back(BetweenClusters());
  layout::GraphAdvice advice{};
  advice.steps = 2;
  advice.width[0] = 64;
  advice.width[1] = 65;
  advice.border[0] = advice.border[1] = std::numeric_limits<float>::max();
  advice.found = 0.95F;
  advice.hash = AdviceHash(advice);
  Advise(advice);
  EXPECT_LT(Found(between, 0), 0.93);
  advice.found = 0.94F;
  advice.hash = AdviceHash(advice);
  Advise(advice);
  EXPECT_EQ(films_->Stats().candidates, 65U);
  EXPECT_EQ(Found(between, 0), 1);
  EXPECT_LT(Found(between, 65), 0.93);  // who names a number gets it
  // Of what is as near as this the last width finds enough.
  advice.border[1] = std::numeric_limits<float>::lowest();
  advice.hash = AdviceHash(advice);
  Advise(advice);
  EXPECT_LT(Found(between, 0), 0.93);
}

// A product grows with a row's length along the query: in a tight cluster the same few rows are the
// nearest of all, and means of several rows are far from what leads there.
// The codes of all rows are compared; more of them are looked at than the caller's few candidates.
TEST_P(GraphTrialTest, WhereNearlyAllRowsAreGoneThoseThatAreThereAreFoundWithFewCandidates) {
  Batch batch(Its());
  for (int i = 0; i < kRows; ++i) {
    if (i % 100 != 0) ASSERT_TRUE(batch.Delete(std::to_string(i)));
  }
  ASSERT_TRUE(CommitOne(*films_, batch));
  std::vector<std::vector<float>> queries;
  for (int i = 0; i < kQueries; ++i) queries.push_back(InACluster());
  EXPECT_EQ(Found(queries, 10), 1);
}

class GraphTrialByProductTest : public GraphTrialTest {};
INSTANTIATE_TEST_SUITE_P(Metrics, GraphTrialByProductTest, ::testing::Values(Metric::kDot));

TEST_P(GraphTrialByProductTest, MeansOfRowsOfTightClustersAreFoundInLessThanComparingAllRowsTakes) {
  centre_part_ = 14;
  Refill();
  const Snapshot snapshot = films_->Latest();
  const auto& sealed = *snapshot.Parts().segments.front();
  ASSERT_NE(sealed.NearGraph()->Codes(), nullptr);
  ASSERT_LT(sealed.NearGraph()->Advice().found, 0.95F);  // else this tests nothing
  std::vector<std::vector<float>> among;
  std::vector<std::vector<float>> between;
  for (int i = 0; i < kQueries; ++i) {
    among.push_back(InACluster());
    between.push_back(BetweenClusters());
  }
  EXPECT_GE(Found(among, 0), 0.95);
  EXPECT_GE(Found(between, 0), 0.98);
  const auto all = snapshot.RowsOf(0) * std::chrono::nanoseconds(NanosecondsARow(Its()));
  for (const auto& query : between) {
    EXPECT_TRUE(snapshot.SearchWithin(all / 2, query, 10).value().has_value());
  }
}

// A walk that goes on is not made anew, and compares codes, which takes less than rows.
TEST_P(GraphTrialTest, ASearchThatMustBeShortMayBeWidened) {
  const auto query = BetweenClusters();
  layout::GraphAdvice advice{};
  advice.steps = 2;
  advice.border[0] = std::numeric_limits<float>::max();
  advice.found = 1;
  advice.width[0] = 64;
  for (const std::uint32_t width : {65U, 256U, 512U}) {
    advice.width[1] = width;
    advice.hash = AdviceHash(advice);
    Advise(advice);
    const Snapshot snapshot = films_->Latest();
    auto within = [&](std::chrono::microseconds most) {
      return snapshot.SearchWithin(most, query, 10).value().has_value();
    };
    EXPECT_TRUE(within(std::chrono::microseconds(200)));
    EXPECT_EQ(within(std::chrono::microseconds(70)), width == 65);
    EXPECT_FALSE(within(std::chrono::microseconds(50)));
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, GraphTrialTest,
                         ::testing::Values(Metric::kCosine, Metric::kDot, Metric::kL2),
                         [](const auto& info) { return std::string(MetricName(info.param)); });

TEST(GraphAdvice, WhatIsNearNeedsLessAndNonsenseIsNone) {
  layout::GraphAdvice advice{};
  advice.steps = 3;
  advice.width[0] = 64;
  advice.width[1] = 128;
  advice.width[2] = 512;
  advice.border[0] = 0.5F;
  advice.border[1] = 0.25F;
  advice.hash = AdviceHash(advice);
  EXPECT_TRUE(IsAdvice(advice));
  const QueryVector query({2, Metric::kCosine, Storage::kF32});
  for (const auto& [tenth, width] :
       {std::pair(0.6F, 64U), {0.5F, 128U}, {0.3F, 128U}, {0.1F, 512U}}) {
    std::vector<RankedNode> best{{.rank = -1, .node = 0}};  // the eleventh
    for (std::uint32_t i = 0; i < kAdvisedHits; ++i) {
      best.push_back({.rank = tenth + 0.01F * static_cast<float>(i), .node = i});
    }
    EXPECT_EQ(AdvisedWidth(advice, LastNearness(query, best)), width) << tenth;
  }
  EXPECT_EQ(AdvisedWidth(advice, LastNearness(query, {})), 512U);
  const std::vector<RankedNode> far_and_near{{.rank = 0.1F, .node = 0}, {.rank = 0.6F, .node = 1}};
  EXPECT_EQ(AdvisedWidth(advice, LastNearness(query, far_and_near, 2)), 512U);
  EXPECT_EQ(AdvisedWidth(advice, LastNearness(query, far_and_near, 1)), 64U);
  advice.width[1] = 64;
  EXPECT_FALSE(IsAdvice(advice));
  advice.hash = AdviceHash(advice);
  EXPECT_FALSE(IsAdvice(advice));
}

TEST(GraphAdvice, ATimeIsToldFromWhatAWalkReads) {
  auto microseconds = [](std::uint32_t dimension, std::size_t code, std::size_t kept,
                         std::size_t met) {
    RowCodes codes;
    codes.bytes = code;
    const Schema schema{dimension, Metric::kCosine, Storage::kF32};
    const auto time = TimeOfAWalk(schema, code > 0 ? &codes : nullptr, kept, met);
    return static_cast<double>(time.count()) / 1000;
  };
  EXPECT_NEAR(microseconds(128, 128, 64, 837), 59, 6);
  EXPECT_NEAR(microseconds(128, 128, 256, 3988), 258, 30);
  EXPECT_NEAR(microseconds(128, 0, 64, 837), 98, 6);
  EXPECT_NEAR(microseconds(1024, 1024, 64, 837), 183, 10);
}

// To compare all rows is worth more where it takes long.
TEST(GraphAdvice, AWalkThatFindsNearlyEnoughIsPreferredToComparingManyRows) {
  layout::GraphAdvice advice{};
  advice.steps = 2;
  advice.width[0] = 64;
  advice.width[1] = 512;
  advice.found = 0.94F;
  const Schema schema{128, Metric::kCosine, Storage::kF32};
  advice.border[1] = 0.25F;
  EXPECT_TRUE(IsTooLittle(advice, 0.2F, Expected(schema, 100'000)));
  EXPECT_FALSE(IsTooLittle(advice, 0.3F, Expected(schema, 100'000)));
  EXPECT_FALSE(IsTooLittle(advice, 0.2F, Expected(schema, 1'000'000)));
  advice.found = 0.5F;
  EXPECT_TRUE(IsTooLittle(advice, 0.2F, Expected(schema, 1'000'000)));
}

}  // namespace
}  // namespace samovar
