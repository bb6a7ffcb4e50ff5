// A collection whose segments wait for a merge too long: who makes it then.

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <thread>

#include "collections/collection_model.h"
#include "collections/collections.h"
#include "collections/test_files.h"

namespace samovar {
namespace {

const Schema kSchema{8, Metric::kL2, Storage::kF32};

class CollectionPressTest : public ::testing::Test {
 protected:
  CollectionPaths Paths() const { return {folder_.Path() + "/kept", folder_.Path() + "/live"}; }
  // Three segments that are to be merged.
  void SetUp() override {
    ASSERT_TRUE(Collection::Create(disk_, Paths()));
    auto opened = Collection::Open(disk_, clock_, Paths(), kSchema, 7, ForGraphs());
    ASSERT_TRUE(opened) << opened.error().message;
    films_ = *opened;
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(CommitOne(*films_, Rows(600 * i, 600)));
      ASSERT_TRUE(films_->Flush());
    }
    ASSERT_EQ(films_->SealedSegments(), 3U);
  }
  Batch Rows(int from, int count) {
    std::normal_distribution<float> normal;
    Batch batch(kSchema);
    for (int i = from; i < from + count; ++i) {
      std::vector<float> vector(8);
      for (float& value : vector) value = normal(random_);
      EXPECT_TRUE(batch.Put(std::to_string(i), vector));
    }
    return batch;
  }
  // Of what other threads do, for two minutes.
  static bool Comes(const std::function<bool()>& what) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (std::chrono::steady_clock::now() < end) {
      if (what()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  std::set<std::string> Files() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(Paths().live)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  TestFolder folder_;
  FailingDisk disk_;
  FakeClock clock_;
  std::mt19937 random_{11};
  std::shared_ptr<Collection> films_;
};

TEST_F(CollectionPressTest, WorkForIdleTimesBeginsNothingThen) {
  films_->Press(true);
  EXPECT_FALSE(films_->Merge(Work::kWhenIdle).value());
  EXPECT_FALSE(films_->MakeGraph(Work::kWhenIdle).value());
  EXPECT_TRUE(films_->Merge(Work::kNow).value());
  ASSERT_TRUE(films_->Flush());
  EXPECT_EQ(films_->SealedSegments(), 1U);
  films_->Press(false);
  ASSERT_TRUE(CommitOne(*films_, Rows(2000, 600)));
  ASSERT_TRUE(films_->Flush());
  EXPECT_TRUE(films_->MakeGraph(Work::kWhenIdle).value());
}

// Wherever it is; also where the press is over before it sees that.
TEST_F(CollectionPressTest, WorkForIdleTimesThatRunsLeavesOffAndLosesNothing) {
  const Model model = Contents(films_->Latest());
  const auto files = Files();
  int left = 0;
  for (int call = 1;; call += 2) {
    bool reached = false;
    disk_.CallAt(call, [&] {
      reached = true;
      films_->Press(true);
    });
    const auto merged = films_->Merge(Work::kWhenIdle);
    disk_.CallAt(0, [] {});
    films_->Press(false);
    ASSERT_TRUE(merged) << merged.error().message;
    if (*merged) {
      EXPECT_GT(left, 1);
      break;
    }
    ASSERT_TRUE(reached);
    ++left;
    EXPECT_EQ(Files(), files) << call;
    EXPECT_EQ(Contents(films_->Latest()), model) << call;
  }
  ASSERT_TRUE(films_->Flush());
  EXPECT_EQ(films_->SealedSegments(), 1U);
  EXPECT_EQ(Contents(films_->Latest()), model);
}

// As where others want the processors all the time.
TEST_F(CollectionPressTest, SegmentsThatWaitAreMergedByAThreadThatNeedNotBeIdle) {
  TestFolder folder;
  SystemClock clock;
  Disk disk;
  auto all = Collections::Open({.directory = folder.Path() + "/kept",
                                .live = folder.Path() + "/live",
                                .each = ForGraphs(),
                                .most_sealed = 2,
                                .least_share = 1000,
                                .patience = {}},
                               clock, disk);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_TRUE((*all)->Create("films", kSchema));
  const auto films = (*all)->Find("films").value();
  for (int i = 0; i < 6; ++i) {
    const std::uint64_t flushes = films->Stats().flushes;
    ASSERT_TRUE((*all)->Write("films", Rows(600 * i, 600)));
    ASSERT_TRUE(Comes([&] { return films->Stats().flushes > flushes; }));
  }
  EXPECT_TRUE(Comes([&] { return films->SealedSegments() == 1; }));
  EXPECT_EQ(films->Latest().Count(), 3600U);
}

}  // namespace
}  // namespace samovar
