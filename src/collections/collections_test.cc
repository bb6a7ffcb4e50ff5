#include "collections/collections.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <latch>
#include <numeric>
#include <set>
#include <thread>

#include "collections/collection_model.h"
#include "collections/reader.h"
#include "collections/test_files.h"
#include "os/descriptors.h"

namespace samovar {
namespace {

const Schema kSchema{3, Metric::kCosine, Storage::kF16};

class CollectionsTest : public ::testing::Test {
 protected:
  void Open() {
    all_.reset();
    auto opened = Collections::Open(
        {.directory = folder_.Path() + "/kept", .live = folder_.Path() + "/live"}, clock_, disk_);
    ASSERT_TRUE(opened) << opened.error().message;
    all_ = std::move(*opened);
  }
  static Batch PutOne(const std::string& id) {
    Batch batch(kSchema);
    EXPECT_TRUE(batch.Put(id, std::vector<float>{1, 2, 3}));
    return batch;
  }
  // "c0", "c1" and so on; answers how many.
  int CreateUntilRefused() {
    int made = 0;
    while (made < 256 && all_->Create("c" + std::to_string(made), kSchema)) ++made;
    return made;
  }
  TestFolder folder_;
  FailingDisk disk_;
  SystemClock clock_;
  std::unique_ptr<Collections> all_;
};

TEST_F(CollectionsTest, KeepsWhatWasMadeThroughARestart) {
  Open();
  ASSERT_TRUE(all_->Create("films", kSchema));
  ASSERT_TRUE(all_->Create("users", {8, Metric::kDot, Storage::kI8}));
  ASSERT_TRUE(all_->Write("films", PutOne("a")));
  Open();
  ASSERT_EQ(all_->List().size(), 2U);
  EXPECT_EQ(all_->Describe("films")->schema, kSchema);
  EXPECT_EQ(all_->Find("films").value()->Latest().Count(), 1U);
  EXPECT_EQ(all_->Describe("users")->schema.storage, Storage::kI8);
}

TEST_F(CollectionsTest, ListsThoseAfterANameAndAtMostSoMany) {
  Open();
  for (const char* name : {"films", "users", "films2", "ads"})
    ASSERT_TRUE(all_->Create(name, kSchema));
  ASSERT_TRUE(all_->Write("films", PutOne("a")));
  ASSERT_TRUE(all_->Pin("films"));
  const auto names = [](const std::vector<CollectionInfo>& infos) {
    std::string text;
    for (const auto& info : infos) text += info.name + " ";
    return text;
  };
  EXPECT_EQ(names(all_->List()), "ads films films2 films@1 users ");
  EXPECT_EQ(names(all_->List("ads", 2)), "films films2 ");
  EXPECT_EQ(names(all_->List("films2", 9)), "films@1 users ");
  EXPECT_EQ(names(all_->List("b", 1)), "films ");  // no collection has to be called so
  EXPECT_EQ(names(all_->List("users")), "");
  EXPECT_EQ(names(all_->PinsOf("films")), "films@1 ");
  EXPECT_EQ(names(all_->PinsOf("film")), "");
}

TEST_F(CollectionsTest, TellsOfEachStageOfAWriteHowOftenItWas) {
  Open();
  ASSERT_TRUE(all_->Create("films", kSchema));
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(all_->Write("films", PutOne(id)));
  disk_.FailAt(1);
  EXPECT_FALSE(all_->Write("films", PutOne("d")));  // not on disk, so not shown
  auto count = [&](CommitStage stage) {
    const auto counts = all_->Times().Of(stage).counts;
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  };
  EXPECT_EQ(count(CommitStage::kWait), 4U);
  EXPECT_EQ(count(CommitStage::kPrepare), 4U);
  EXPECT_EQ(count(CommitStage::kLog), 4U);
}

TEST(CommitTimes, CountsATimeAtTheFirstBoundThatHoldsIt) {
  CommitTimes times;
  times.Add(CommitStage::kLog, std::chrono::microseconds(100));
  times.Add(CommitStage::kLog, std::chrono::microseconds(101));
  times.Add(CommitStage::kLog, std::chrono::seconds(6));
  const auto its = times.Of(CommitStage::kLog);
  EXPECT_EQ(its.counts[0], 1U);
  EXPECT_EQ(its.counts[1], 1U);
  EXPECT_EQ(its.counts[CommitTimes::kBounds.size()], 1U);
  EXPECT_EQ(its.sum, std::chrono::microseconds(6'000'201));
  EXPECT_EQ(times.Of(CommitStage::kWait).sum.count(), 0);
}

TEST_F(CollectionsTest, ADeletedOneIsGoneForAllAndItsNameIsFree) {
  Open();
  ASSERT_TRUE(all_->Create("films", kSchema));
  ASSERT_TRUE(all_->Write("films", PutOne("a")));
  auto reader = CollectionReader::Open(folder_.Path() + "/live/films");
  ASSERT_TRUE(reader);
  const auto held = (*reader)->Latest();
  ASSERT_TRUE(held);
  ASSERT_TRUE(all_->Delete("films"));
  EXPECT_EQ(all_->Find("films").error().code, Code::kNotFound);
  EXPECT_EQ(all_->Delete("films").error().code, Code::kNotFound);
  EXPECT_EQ(all_->Write("films", PutOne("b")).error().code, Code::kNotFound);
  EXPECT_EQ((*reader)->Latest().error().code, Code::kNotFound);
  EXPECT_EQ(held->Count(), 1U);
  Open();
  EXPECT_TRUE(all_->List().empty());
  ASSERT_TRUE(all_->Create("films", kSchema));
  const auto fresh = (*reader)->Latest();
  ASSERT_TRUE(fresh) << fresh.error().message;
  EXPECT_EQ(fresh->Count(), 0U);
  ASSERT_TRUE(all_->Delete("films"));
  ASSERT_TRUE(all_->Create("films", {5, Metric::kDot, Storage::kF32}));
  EXPECT_EQ((*reader)->Latest().error().code, Code::kNotFound);
}

TEST_F(CollectionsTest, RefusesWhatIsWrongAndLeavesNothing) {
  Open();
  EXPECT_EQ(all_->Create("Films", kSchema).error().code, Code::kInvalid);
  EXPECT_EQ(all_->Create("../x", kSchema).error().code, Code::kInvalid);
  EXPECT_EQ(all_->Create("films", {0, Metric::kDot, Storage::kF32}).error().message,
            "dimension: expected a number from 1 to 16384");
  ASSERT_TRUE(all_->Create("films", kSchema));
  EXPECT_EQ(all_->Create("films", kSchema).error().code, Code::kConflict);
  EXPECT_EQ(all_->Write("films", Batch(kSchema)).error().code, Code::kInvalid);
  EXPECT_EQ(all_->Write("films", Batch({4, Metric::kDot, Storage::kF32})).error().code,
            Code::kConflict);
}

// This process may have so many, until it goes.
class FewFiles {
 public:
  static constexpr int kMost = 256;
  FewFiles() {
    CHECK(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit few{.rlim_cur = kMost, .rlim_max = before_.rlim_max};
    CHECK(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  }
  ~FewFiles() { CHECK(::setrlimit(RLIMIT_NOFILE, &before_) == 0); }
  FewFiles(const FewFiles&) = delete;

 private:
  rlimit before_{};
};

TEST_F(CollectionsTest, LeavesDescriptorsForAllElse) {
  const FewFiles few;
  Open();
  const int made = CreateUntilRefused();
  EXPECT_GT(made, 10);
  const auto refused = all_->Create("more", kSchema);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().name, "TooManyCollections");
  EXPECT_FALSE(all_->Describe("more"));
  EXPECT_EQ(all_->Pin("c0").error().name, "TooManyCollections");
  EXPECT_LT(CountDescriptors().open, FewFiles::kMost * 7U / 8);
  for (int i = 0; i < made; ++i) EXPECT_TRUE(all_->Write("c" + std::to_string(i), PutOne("a")));
  EXPECT_TRUE(all_->Delete("c0"));
  EXPECT_TRUE(all_->Create("more", kSchema));
  Open();
  EXPECT_TRUE(all_->Find("c" + std::to_string(made - 1)));
}

TEST_F(CollectionsTest, OneThatIsDeletedMakesRoomAsSoonAsWhoeverHasItLetsGo) {
  const FewFiles few;
  Open();
  CreateUntilRefused();
  auto held = all_->Find("c0").value();
  ASSERT_TRUE(all_->Delete("c0"));
  std::thread holder([held = std::move(held)]() mutable {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    held.reset();
  });
  EXPECT_TRUE(all_->Create("more", kSchema));
  holder.join();
}

// Keeps whoever writes a graph until it is let go.
class HeldDisk final : public Disk {
 public:
  Result<Fd> Create(const std::string& path) override {
    if (path.find("/graph-") != path.npos) {
      begun_.count_down();
      go_.wait();
    }
    return Disk::Create(path);
  }
  void WaitForGraph() { begun_.wait(); }
  void LetGo() { go_.count_down(); }

 private:
  std::latch begun_{1};
  std::latch go_{1};
};

TEST(Collections, OneThatIsDeletedGoesAlsoWhileTheGraphOfAnotherIsMade) {
  TestFolder folder;
  HeldDisk disk;
  SystemClock clock;
  CollectionOptions each;
  each.first_rows = each.most_rows = 128;
  each.graph_rows = 50;
  auto all = Collections::Open(
      {.directory = folder.Path() + "/kept", .live = folder.Path() + "/live", .each = each}, clock,
      disk);
  ASSERT_TRUE(all);
  const Schema schema{4, Metric::kL2, Storage::kF32};
  ASSERT_TRUE((*all)->Create("films", schema));
  ASSERT_TRUE((*all)->Create("users", schema));
  Batch batch(schema);
  for (int i = 0; i < 128; ++i) {
    ASSERT_TRUE(batch.Put(std::to_string(i), std::vector<float>(4, static_cast<float>(i))));
  }
  ASSERT_TRUE((*all)->Write("films", batch));
  disk.WaitForGraph();
  std::weak_ptr<Collection> users = (*all)->Find("users").value();
  ASSERT_TRUE((*all)->Delete("users"));
  const auto end = clock.Now() + std::chrono::seconds(30);
  while (!users.expired() && clock.Now() < end) std::this_thread::yield();
  EXPECT_TRUE(users.expired());
  disk.LetGo();
}

TEST_F(CollectionsTest, EachWriteOfACreationThatFailsLeavesNothing) {
  Open();
  for (int n = 1;; ++n) {
    disk_.FailAt(n);
    const auto made = all_->Create("films", kSchema);
    disk_.Heal();
    if (made) {
      EXPECT_GT(n, 10);
      break;
    }
    EXPECT_EQ(made.error().code, Code::kUnavailable);
    EXPECT_EQ(all_->Find("films").error().code, Code::kNotFound);
    Open();
    EXPECT_TRUE(all_->List().empty()) << "failure " << n;
  }
}

TEST_F(CollectionsTest, OneThatIsDamagedIsListedAndTheOthersServe) {
  Open();
  ASSERT_TRUE(all_->Create("films", kSchema));
  ASSERT_TRUE(all_->Create("users", kSchema));
  all_.reset();
  std::ofstream(folder_.Path() + "/kept/films/checkpoint") << "nonsense";
  Open();
  EXPECT_TRUE(all_->Describe("films")->error.has_value());
  EXPECT_EQ(all_->Find("films").error().code, Code::kInternal);
  EXPECT_EQ(all_->Write("films", PutOne("a")).error().code, Code::kInternal);
  EXPECT_TRUE(all_->Write("users", PutOne("a")));
  ASSERT_TRUE(all_->Delete("films"));
  EXPECT_EQ(all_->List().size(), 1U);
}

TEST_F(CollectionsTest, FoldersOfDeletedOnesGoWithTheNextStart) {
  Open();
  ASSERT_TRUE(all_->Create("films", kSchema));
  ASSERT_TRUE(all_->Create("users", kSchema));
  ASSERT_TRUE(all_->Delete("films"));
  Open();
  EXPECT_FALSE(std::filesystem::exists(folder_.Path() + "/live/films"));
  EXPECT_TRUE(all_->Find("users"));
}

TEST_F(CollectionsTest, OneThatAFullDiskKeptFromBeingOpenedIsServedLater) {
  Open();
  ASSERT_TRUE(all_->Create("films", kSchema));
  ASSERT_TRUE(all_->Write("films", PutOne("a")));
  all_.reset();
  disk_.FailAt(1);
  Open();
  const auto end = clock_.Now() + std::chrono::seconds(30);
  while (!all_->Find("films") && clock_.Now() < end) std::this_thread::yield();
  EXPECT_TRUE(disk_.Failed());
  const auto films = all_->Find("films");
  ASSERT_TRUE(films) << films.error().message;
  EXPECT_EQ((*films)->Latest().Count(), 1U);
  EXPECT_TRUE(all_->Write("films", PutOne("b")));
}

TEST_F(CollectionsTest, ManyWritersGetGenerationsOfTheirOwn) {
  Open();
  ASSERT_TRUE(all_->Create("films", kSchema));
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  std::vector<std::vector<std::uint64_t>> seen(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          const std::string id = std::to_string(t) + "-" + std::to_string(i);
          auto ack = all_->Write("films", PutOne(id));
          ASSERT_TRUE(ack);
          // Read your writes.
          const auto now = all_->Find("films").value()->Latest();
          EXPECT_GE(now.Generation(), ack->generation);
          EXPECT_TRUE(now.Find(id));
          seen[static_cast<std::size_t>(t)].push_back(ack->generation);
        }
      });
    }
  }
  std::set<std::uint64_t> generations;
  for (const auto& its : seen) {
    EXPECT_TRUE(std::ranges::is_sorted(its));
    generations.insert(its.begin(), its.end());
  }
  EXPECT_EQ(generations.size(), static_cast<std::size_t>(kThreads * kEach));
  EXPECT_EQ(*generations.rbegin(), static_cast<std::uint64_t>(kThreads * kEach));
}

}  // namespace
}  // namespace samovar
