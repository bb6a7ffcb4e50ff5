// A collection whose sealed segments have graphs: what is searched, shown, kept and lost.

#include <gtest/gtest.h>

#include "collections/collection_model.h"
#include "collections/reader.h"
#include "collections/test_files.h"

namespace samovar {
namespace {

const Schema kSchema{8, Metric::kL2, Storage::kF32};
constexpr SearchOptions kInCells{.candidates = 64};  // small collections are compared whole without

class CollectionGraphTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(Collection::Create(disk_, Paths())); }
  CollectionPaths Paths() const { return {folder_.Path() + "/kept", folder_.Path() + "/live"}; }
  std::shared_ptr<Collection> Opened() {
    auto opened = Collection::Open(disk_, clock_, Paths(), kSchema, 7, ForGraphs());
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? *opened : nullptr;
  }
  // Rows with random vectors and whether their number is even; some were there before.
  Batch RandomRows(int count, int ids) {
    std::normal_distribution<float> normal;
    Batch batch(kSchema);
    for (int i = 0; i < count; ++i) {
      const int id = static_cast<int>(random_() % static_cast<unsigned>(ids));
      std::vector<float> vector(8);
      for (float& value : vector) value = normal(random_);
      EXPECT_TRUE(batch.Put(std::to_string(id), vector,
                            "{\"even\":" + std::to_string(id % 2 == 0 ? 1 : 0) + "}"));
    }
    return batch;
  }
  static void MakeGraphs(Collection& films) {
    auto made = films.MakeGraph();
    ASSERT_TRUE(made) << made.error().message;
    while (*made) {
      ASSERT_TRUE(films.HasGraphToShow());
      ASSERT_TRUE(films.ShowGraphs());
      made = films.MakeGraph();
      ASSERT_TRUE(made);
    }
    EXPECT_FALSE(films.HasGraphToShow());
  }
  bool HasFile(const std::string& kind) const {
    for (const auto& entry : std::filesystem::directory_iterator(Paths().live)) {
      if (entry.path().filename().string().starts_with(kind)) return true;
    }
    return false;
  }

  TestFolder folder_;
  FailingDisk disk_;
  FakeClock clock_;
  std::mt19937 random_{11};
};

TEST_F(CollectionGraphTest, SearchFindsNearlyAllThroughWritesMergesAndRestarts) {
  auto films = Opened();
  auto reader = CollectionReader::Open(Paths().live).value();
  for (int round = 0; round < 12; ++round) {
    ASSERT_TRUE(CommitOne(*films, RandomRows(300, 3000)));
    if (round % 3 == 0) ASSERT_TRUE(films->Flush());
    if (round % 3 == 1) MakeGraphs(*films);
    if (round % 3 == 2) ASSERT_TRUE(films->Merge());
    if (round % 5 == 4) films = Opened();
    const Snapshot snapshot = reader->Latest().value();
    EXPECT_EQ(snapshot.Generation(), films->Latest().Generation());
    const auto recall = MeasureRecall(snapshot, 50, 10);
    ASSERT_TRUE(recall);
    EXPECT_GE(recall->found, 0.95);
    const auto filter = Filter::Parse(R"({"eq": {"even": 1}})").value();
    const auto hits = snapshot.Search(std::vector<float>(8), 10, filter).value();
    const auto exact = snapshot.Search(std::vector<float>(8), 10, filter, {.exact = true}).value();
    ASSERT_EQ(hits.size(), 10U);
    int same = 0;
    for (const Hit& hit : hits) {
      EXPECT_TRUE(snapshot.Visible(hit.row));
      EXPECT_EQ(std::stoi(std::string(snapshot.Id(hit.row))) % 2, 0);
      same += hit.score <= exact.back().score ? 1 : 0;
    }
    EXPECT_GE(same, 9);
  }
  EXPECT_GT(films->Stats().graph_rows, 100U);
}

TEST_F(CollectionGraphTest, WhereAllNearRowsAreGoneAWalkGoesOnToThoseThatAreThere) {
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, RandomRows(4000, 1'000'000)));
  ASSERT_TRUE(films->Flush());
  MakeGraphs(*films);
  ASSERT_GT(films->Stats().graph_rows, 3000U);
  const std::vector<float> middle(8, 0.5F);
  Batch deletions(kSchema);
  for (const Hit& hit : films->Latest().Search(middle, 500, {}, {.exact = true}).value()) {
    ASSERT_TRUE(deletions.Delete(films->Latest().Id(hit.row)));
  }
  ASSERT_TRUE(CommitOne(*films, deletions));
  const Snapshot snapshot = films->Latest();
  const auto hits = snapshot.Search(middle, 10).value();
  const auto exact = snapshot.Search(middle, 10, {}, {.exact = true}).value();
  ASSERT_EQ(hits.size(), 10U);
  int same = 0;
  for (const Hit& hit : hits) {
    EXPECT_TRUE(snapshot.Visible(hit.row));
    same += hit.score <= exact.back().score ? 1 : 0;
  }
  EXPECT_GE(same, 9);
}

TEST_F(CollectionGraphTest, WhatLiesInCellsIsFoundWithinClustersAndWithoutAny) {
  for (const float wide : {0.05F, 100.0F}) {
    std::normal_distribution<float> normal;
    Batch batch(kSchema);
    for (int i = 0; i < 6000; ++i) {
      std::mt19937 cluster(random_() % 50);
      std::vector<float> vector(8);
      for (float& value : vector) value = normal(cluster);
      normal.reset();
      for (float& value : vector) value += wide * normal(random_);
      ASSERT_TRUE(batch.Put(std::to_string(i), vector));
    }
    auto films = Opened();
    ASSERT_TRUE(CommitOne(*films, batch));
    ASSERT_TRUE(films->Flush());
    ASSERT_TRUE(HasFile("cells-"));
    EXPECT_EQ(films->Stats().graph_rows, 0U);
    const auto recall = MeasureRecall(films->Latest(), 100, 10, kInCells);
    ASSERT_TRUE(recall);
    EXPECT_GE(recall->found, 0.95) << wide;
  }
}

TEST_F(CollectionGraphTest, BetweenClustersOfASmallCollectionWithoutAGraphNothingIsMissed) {
  std::normal_distribution<float> normal;
  Batch batch(kSchema);
  std::vector<std::vector<float>> all(1500, std::vector<float>(8));
  for (int i = 0; i < 1500; ++i) {
    for (float& value : all[static_cast<std::size_t>(i)]) value = normal(random_);
    ASSERT_TRUE(batch.Put(std::to_string(i), all[static_cast<std::size_t>(i)]));
  }
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, batch));
  ASSERT_TRUE(films->Flush());
  ASSERT_TRUE(HasFile("cells-"));
  const Snapshot latest = films->Latest();
  for (int i = 0; i < 100; ++i) {  // as a user's vector lies among the films that they like
    std::vector<float> middle(8);
    for (int liked = 0; liked < 5; ++liked) {
      const auto& film = all[random_() % all.size()];
      for (std::size_t d = 0; d < 8; ++d) middle[d] += film[d] / 5;
    }
    const auto exact = latest.Search(middle, 10, {}, {.exact = true}).value();
    const auto found = latest.Search(middle, 10).value();
    for (std::size_t hit = 0; hit < 10; ++hit) EXPECT_EQ(found[hit].score, exact[hit].score) << i;
  }
}

// Codes of one byte would not tell them apart: walks compare the rows.
TEST_F(CollectionGraphTest, RowsOfVeryTightClustersAreFoundWithoutComparingAll) {
  std::normal_distribution<float> normal;
  Batch batch(kSchema);
  for (int i = 0; i < 4000; ++i) {
    std::mt19937 cluster(i % 4);
    std::vector<float> vector(8);
    for (float& value : vector) value = normal(cluster);
    normal.reset();
    for (float& value : vector) value += 0.01F * normal(random_);
    ASSERT_TRUE(batch.Put(std::to_string(i), vector));
  }
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, batch));
  ASSERT_TRUE(films->Flush());
  MakeGraphs(*films);
  const Snapshot snapshot = films->Latest();
  const Segment& sealed = *snapshot.Parts().segments.front();
  ASSERT_NE(sealed.NearGraph(), nullptr);
  EXPECT_EQ(sealed.NearGraph()->Codes(), nullptr);
  EXPECT_GE(MeasureRecall(snapshot, 100, 10).value().found, 0.95);
  EXPECT_GE(MeasureRecall(snapshot, 100, 10, {.candidates = 64}).value().found, 0.95);
  // As long as 3,000 rows are said to take.
  const auto within = std::chrono::microseconds(72);
  EXPECT_TRUE(snapshot.SearchWithin(within, snapshot.Vector({0, 7}), 10, {}).value());
  EXPECT_FALSE(snapshot.SearchWithin(within, snapshot.Vector({0, 7}), 10, {.exact = true}).value());
}

TEST_F(CollectionGraphTest, AFilterThatLeavesFewRowsFindsThemAll) {
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, RandomRows(2000, 1'000'000)));
  Batch rare(kSchema);
  for (int i = 0; i < 3; ++i) {
    const std::vector<float> far(8, 50.0F + static_cast<float>(i));
    ASSERT_TRUE(rare.Put("rare-" + std::to_string(i), far, R"({"even":2})"));
  }
  ASSERT_TRUE(CommitOne(*films, rare));
  ASSERT_TRUE(films->Flush());
  MakeGraphs(*films);
  ASSERT_GT(films->Stats().graph_rows, 1000U);
  const auto filter = Filter::Parse(R"({"eq": {"even": 2}})").value();
  EXPECT_EQ(films->Latest().Search(std::vector<float>(8), 10, filter)->size(), 3U);
}

TEST_F(CollectionGraphTest, AGraphOutlivesARestartAndOneThatIsDamagedIsMadeAgain) {
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, RandomRows(500, 1000)));
  ASSERT_TRUE(films->Flush());
  MakeGraphs(*films);
  const auto rows = films->Stats().graph_rows;
  ASSERT_GT(rows, 100U);
  films = Opened();
  EXPECT_EQ(films->Stats().graph_rows, rows);
  for (const auto& entry : std::filesystem::directory_iterator(Paths().live)) {
    const std::string path = entry.path().string();
    if (!path.contains("/graph-")) continue;
    std::string bytes = ReadFile(path).value();
    bytes[5000] = static_cast<char>(bytes[5000] ^ 1);
    ASSERT_TRUE(disk_.Replace(path, bytes));
  }
  films = Opened();
  EXPECT_EQ(films->Stats().graph_rows, 0U);
  EXPECT_FALSE(HasFile("graph-"));
  MakeGraphs(*films);
  EXPECT_EQ(films->Stats().graph_rows, rows);
}

TEST_F(CollectionGraphTest, ADiskThatRefusesLeavesSearchAsItWas) {
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, RandomRows(500, 1000)));
  ASSERT_TRUE(films->Flush());
  for (int call = 1;; ++call) {
    disk_.FailAt(call);
    auto made = films->MakeGraph();
    Result<void> shown;
    if (made) shown = films->ShowGraphs();
    const bool refused = !made || !shown;
    disk_.Heal();
    EXPECT_EQ(MeasureRecall(films->Latest(), 20, 10)->found, 1.0);
    if (!refused) break;
    EXPECT_FALSE(HasFile("graph-") && !films->HasGraphToShow()) << call;
    if (films->HasGraphToShow()) ASSERT_TRUE(films->ShowGraphs());
    if (films->Stats().graph_rows > 0) break;
  }
  EXPECT_GT(films->Stats().graph_rows, 100U);
}

// Nothing but the question for room is asked of the disk.
TEST_F(CollectionGraphTest, AGraphForWhichTheDiskHasNoRoomIsNotBegun) {
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, RandomRows(500, 1000)));
  ASSERT_TRUE(films->Flush());
  disk_.HaveRoom(20'000);
  const int calls = disk_.Calls();
  const auto made = films->MakeGraph();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kUnavailable);
  EXPECT_EQ(disk_.Calls(), calls + 1);
  disk_.HaveRoom(1 << 20);
  MakeGraphs(*films);
  EXPECT_GT(films->Stats().graph_rows, 100U);
}

TEST_F(CollectionGraphTest, AMergeForWhichTheDiskHasNoRoomIsNotBegun) {
  auto films = Opened();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(CommitOne(*films, RandomRows(600, 1'000'000)));
    ASSERT_TRUE(films->Flush());
  }
  ASSERT_EQ(films->Stats().segments, 3U);  // two large ones, and the open one
  disk_.HaveRoom(20'000);
  const int calls = disk_.Calls();
  const auto merged = films->Merge();
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::kUnavailable);
  EXPECT_EQ(disk_.Calls(), calls + 1);
  disk_.HaveRoom(1 << 20);
  ASSERT_TRUE(films->Merge().value());
  ASSERT_TRUE(films->Flush());
  EXPECT_EQ(films->Stats().segments, 2U);
}

TEST_F(CollectionGraphTest, AGraphOfASegmentThatWasMergedMeanwhileGoes) {
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, RandomRows(500, 1000)));
  ASSERT_TRUE(films->Flush());
  ASSERT_TRUE(films->MakeGraph().value());
  ASSERT_TRUE(CommitOne(*films, RandomRows(500, 1000)));
  ASSERT_TRUE(films->Flush());
  ASSERT_TRUE(films->ShowGraphs());
  EXPECT_FALSE(HasFile("graph-"));
  MakeGraphs(*films);
  EXPECT_TRUE(HasFile("graph-"));
}

// What is written, changed and deleted while a merge runs is there when it is adopted.
TEST_F(CollectionGraphTest, AMergeCarriesOverWhatHappenedMeanwhile) {
  auto films = Opened();
  Model model;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 12; ++i) {
      ASSERT_TRUE(CommitOne(*films, RandomBatch(random_, kSchema, model, 2000)));
    }
    if (round % 2 == 0) ASSERT_TRUE(films->Flush());
    const auto merged = films->Merge();
    ASSERT_TRUE(merged) << merged.error().message;
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(CommitOne(*films, RandomBatch(random_, kSchema, model, 2000)));
    }
    const Snapshot before = films->Latest();
    const Model then = model;
    if (*merged) ASSERT_TRUE(films->Flush());
    EXPECT_EQ(Contents(films->Latest()), model) << round;
    EXPECT_EQ(Contents(before), then) << round;
    if (round % 10 == 9) films = Opened();
    EXPECT_EQ(Contents(films->Latest()), model) << round;
  }
  // Once nobody writes all comes together.
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(films->Merge());
    ASSERT_TRUE(films->Flush());
  }
  EXPECT_LE(films->Stats().segments, 3U);
  EXPECT_GT(films->Stats().graph_rows, 1000U);
  EXPECT_EQ(Contents(films->Latest()), model);
}

// As where others want the processors all the time: a merge never begins.
TEST_F(CollectionGraphTest, RowsThatAreWrittenAgainDoNotPileUpWithoutMerges) {
  auto films = Opened();
  for (int round = 0; round < 12; ++round) {
    Batch batch(kSchema);
    for (int id = round; id < round + 600; ++id) {
      ASSERT_TRUE(batch.Put(std::to_string(id % 700), std::vector<float>(8, 1)));
    }
    ASSERT_TRUE(CommitOne(*films, batch));
    ASSERT_TRUE(films->Flush());
    EXPECT_LE(films->Stats().stored_rows, 1300U) << "round " << round;
  }
  EXPECT_EQ(films->Latest().Count(), 611U);
}

TEST_F(CollectionGraphTest, AStopEndsAMergeWhereverItIsAndLosesNothing) {
  int ended = 0;
  bool reached = true;
  for (int call = 1; reached; call += 3) {
    auto films = Opened();
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(CommitOne(*films, RandomRows(600, 5000)));
      ASSERT_TRUE(films->Flush());
    }
    const Model model = Contents(films->Latest());
    reached = false;
    disk_.CallAt(call, [&] {
      reached = true;
      films->StopFlush();
    });
    auto done = films->Merge();
    if (done && !*done) done = films->MakeGraph();
    disk_.CallAt(0, [] {});
    ended += done ? 0 : 1;
    EXPECT_FALSE(films->WantsFlush() && reached);
    films = Opened();
    EXPECT_EQ(Contents(films->Latest()), model) << call;
  }
  EXPECT_GT(ended, 3);
}

TEST_F(CollectionGraphTest, CellsFindNearlyAllBeforeThereIsAGraph) {
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, RandomRows(6000, 1'000'000)));
  ASSERT_TRUE(films->Flush());
  EXPECT_TRUE(HasFile("cells-"));
  EXPECT_EQ(films->Stats().graph_rows, 0U);
  EXPECT_GE(MeasureRecall(films->Latest(), 50, 10, kInCells)->found, 0.95);
  auto reader = CollectionReader::Open(Paths().live).value();
  EXPECT_GE(MeasureRecall(reader->Latest().value(), 50, 10, kInCells)->found, 0.95);
  films = Opened();
  EXPECT_TRUE(HasFile("cells-"));
  EXPECT_GE(MeasureRecall(films->Latest(), 50, 10, kInCells)->found, 0.95);
}

}  // namespace
}  // namespace samovar
