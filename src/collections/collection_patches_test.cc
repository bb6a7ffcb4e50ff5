// Attributes that were changed after their row was sealed: their memory, and their part of the
// disk.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "collections/checkpoint.h"
#include "collections/checksum.h"
#include "collections/collection.h"
#include "collections/collection_model.h"
#include "collections/reader.h"
#include "collections/test_files.h"

namespace samovar {
namespace {

const Schema kSchema{6, Metric::kL2, Storage::kF32};

// The segment of `quiet` and `busy` is too large for flushes to write it again.
class CollectionPatchesTest : public ::testing::Test {
 protected:
  CollectionPaths Paths() const { return {folder_.Path() + "/kept", folder_.Path() + "/live"}; }
  void Open() {
    CollectionOptions options;
    options.small_rows = 1;
    options.patch_bytes = layout::kPatchFile;
    options.inline_bytes = 1000;
    auto opened = Collection::Open(disk_, clock_, Paths(), kSchema, 1, options);
    ASSERT_TRUE(opened) << opened.error().message;
    films_ = *opened;
  }
  void SetUp() override {
    ASSERT_TRUE(Collection::Create(disk_, Paths()));
    Open();
    Batch batch(kSchema);
    ASSERT_TRUE(batch.Put("quiet", std::vector<float>(6), R"({"n":0})"));
    ASSERT_TRUE(batch.Put("busy", std::vector<float>(6), "{\"text\":\"" + kLong + "\"}"));
    ASSERT_TRUE(CommitOne(*films_, batch));
    ASSERT_TRUE(films_->Flush());
  }
  void Update(std::string_view id, int n) {
    Batch batch(kSchema);
    ASSERT_TRUE(batch.Update(id, "{\"n\":" + std::to_string(n) + "}"));
    ASSERT_TRUE(CommitOne(*films_, batch));
  }
  // Fills more than one file, with a log of a few bytes.
  void UpdateBusy(int last) {
    Batch batch(kSchema);
    for (int i = 299; i >= 0; --i) {
      ASSERT_TRUE(batch.Update("busy", "{\"n\":" + std::to_string(last - i) + "}"));
    }
    ASSERT_TRUE(CommitOne(*films_, batch));
  }
  static std::string Attributes(const Snapshot& at, std::string_view id) {
    return std::string(at.Attributes(*at.Find(id)).value());
  }
  bool BusyHas(const Snapshot& at, int n) const {
    return Attributes(at, "busy") == "{\"text\":\"" + kLong + "\",\"n\":" + std::to_string(n) + "}";
  }
  std::size_t Files() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        std::filesystem::directory_iterator(Paths().live),
        [](const auto& each) { return each.path().filename().string().starts_with("patch-"); }));
  }
  const std::string kLong = std::string(60'000, 'x');
  TestFolder folder_;
  FailingDisk disk_;
  FakeClock clock_;
  std::shared_ptr<Collection> films_;
};

TEST_F(CollectionPatchesTest, AFlushIsWantedByUpdatesWhoseLogIsSmall) {
  EXPECT_FALSE(films_->WantsFlush());
  UpdateBusy(300);
  EXPECT_TRUE(films_->WantsFlush());
  ASSERT_TRUE(films_->Flush());
  EXPECT_FALSE(films_->WantsFlush());
}

TEST_F(CollectionPatchesTest, ARowThatChangedOnceKeepsNotWhatOthersBrought) {
  Update("quiet", 1);
  Update("quiet", 2);
  const Snapshot before = films_->Latest();
  for (int round = 1; round <= 6; ++round) {
    UpdateBusy(round * 300);
    ASSERT_TRUE(films_->Flush());
    EXPECT_EQ(Attributes(before, "quiet"), R"({"n":2})");
    clock_.Advance(std::chrono::minutes(16));
    films_->Expire();
    EXPECT_LE(Files(), 3U) << "round " << round;
    EXPECT_EQ(films_->Stats().shared_bytes / layout::kPatchFile, Files());
    EXPECT_EQ(Attributes(films_->Latest(), "quiet"), R"({"n":2})");
    EXPECT_TRUE(BusyHas(films_->Latest(), round * 300));
  }
  EXPECT_EQ(before.Check().error().code, Code::kConflict);
  const Model then = Contents(films_->Latest());
  Open();
  EXPECT_EQ(Contents(films_->Latest()), then);
}

// Files of the run before go when the next begins. Vectors stay: a reader has them mapped.
TEST_F(CollectionPatchesTest, AViewOfBeforeARestartSaysThatItIsTooOldForAttributesItHadNotRead) {
  Update("quiet", 1);
  auto reader = CollectionReader::Open(Paths().live).value();
  const Snapshot before = reader->Latest().value();
  films_.reset();
  Open();
  const RowRef row = before.Find("quiet").value();
  EXPECT_EQ(before.Vector(row), std::vector<float>(6));
  const auto attributes = before.Attributes(row);
  ASSERT_FALSE(attributes);
  EXPECT_EQ(attributes.error().code, Code::kConflict);
  EXPECT_EQ(Attributes(reader->Latest().value(), "quiet"), R"({"n":1})");
}

// The last file is full, so that one that moves needs another.
TEST_F(CollectionPatchesTest, ADiskThatRefusesToMoveThemIsTold) {
  Batch loud(kSchema);
  ASSERT_TRUE(loud.Put("loud", std::vector<float>(6), "{\"text\":\"" + kLong + "\"}"));
  ASSERT_TRUE(loud.Put("still", std::vector<float>(6)));
  ASSERT_TRUE(CommitOne(*films_, loud));
  ASSERT_TRUE(films_->Flush());
  Update("loud", 1000);
  const std::string text = "{\"text\":\"" + kLong + "\",\"n\":1000}";
  const int in_a_file = static_cast<int>(layout::kPatchFile / Patches::SizeOf(text.size()));
  for (const int count : {in_a_file - 1, in_a_file / 2, in_a_file - in_a_file / 2}) {
    Batch batch(kSchema);
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(batch.Update("busy", "{\"n\":" + std::to_string(1000 + i) + "}"));
    }
    ASSERT_TRUE(CommitOne(*films_, batch));
  }
  ASSERT_EQ(Files(), 2U);
  const Model then = Contents(films_->Latest());
  disk_.RefuseToCreate("/patch-");
  ASSERT_TRUE(films_->Flush());
  ASSERT_FALSE(films_->Moved());
  EXPECT_EQ(films_->Moved().error().code, Code::kUnavailable);
  EXPECT_EQ(Files(), 2U);
  disk_.Heal();
  ASSERT_TRUE(films_->Flush());
  EXPECT_TRUE(films_->Moved());
  clock_.Advance(std::chrono::minutes(16));
  films_->Expire();
  EXPECT_LE(Files(), 2U);
  EXPECT_EQ(Contents(films_->Latest()), then);
}

TEST_F(CollectionPatchesTest, WhatIsWrittenAnewIsTheSameForReadersOfOldGenerations) {
  Update("quiet", 1);
  auto reader = CollectionReader::Open(Paths().live);
  ASSERT_TRUE(reader);
  const Snapshot first = (*reader)->Latest().value();
  Update("quiet", 2);
  const Snapshot second = (*reader)->Latest().value();
  UpdateBusy(300);
  ASSERT_TRUE(films_->Flush());
  Update("quiet", 3);
  EXPECT_EQ(Attributes(first, "quiet"), R"({"n":1})");
  EXPECT_EQ(Attributes(second, "quiet"), R"({"n":2})");
  EXPECT_EQ(Attributes((*reader)->Latest().value(), "quiet"), R"({"n":3})");
  EXPECT_TRUE(BusyHas((*reader)->Latest().value(), 300));
}

// Its rows as well, so many of them that a checkpoint does not keep what all of them have.
class CollectionAttributesTest : public CollectionPatchesTest {
 protected:
  static constexpr int kRows = 500;
  void SetUp() override {
    CollectionPatchesTest::SetUp();
    PutAll();
    ASSERT_TRUE(films_->Flush());
  }
  void PutAll() {
    Batch batch(kSchema);
    for (int i = 0; i < kRows; ++i) {
      ASSERT_TRUE(batch.Put("row" + std::to_string(i), std::vector<float>(6), R"({"n":0})"));
    }
    ASSERT_TRUE(CommitOne(*films_, batch));
  }
  void UpdateRows(int from, int to, int n) {
    Batch batch(kSchema);
    for (int i = from; i < to; ++i) {
      ASSERT_TRUE(batch.Update("row" + std::to_string(i), "{\"n\":" + std::to_string(n) + "}"));
    }
    ASSERT_TRUE(CommitOne(*films_, batch));
  }
  CheckpointData Checkpoint() const {
    return DecodeCheckpoint(ReadFile(Paths().kept + "/checkpoint").value(), "checkpoint").value();
  }
  std::uint64_t CheckpointBytes() const {
    return std::filesystem::file_size(Paths().kept + "/checkpoint");
  }
  std::set<std::string> AttributesFiles() const {
    std::set<std::string> found;
    for (const auto& each : std::filesystem::directory_iterator(Paths().kept)) {
      const std::string path = each.path().string();
      if (path.contains("/attributes-")) found.insert(path);
    }
    return found;
  }
  std::set<std::string> NamedFiles() const {
    std::set<std::string> named;
    for (const std::uint64_t each : Checkpoint().files)
      named.insert(AttributesPath(Paths().kept, each));
    return named;
  }
};

TEST_F(CollectionAttributesTest, WhatChangedOnceIsNotWrittenAgainByEachFlush) {
  UpdateRows(0, kRows, 1);
  ASSERT_TRUE(films_->Flush());
  const auto files = AttributesFiles();
  ASSERT_EQ(files.size(), 1U);
  for (int i = 0; i < 5; ++i) {
    UpdateRows(i, i + 1, 2);
    ASSERT_TRUE(films_->Flush());
    EXPECT_LT(CheckpointBytes(), 1000U);
    EXPECT_EQ(AttributesFiles(), files);
    EXPECT_EQ(NamedFiles(), files);
  }
  const Model then = Contents(films_->Latest());
  EXPECT_EQ(then.at("row3").attributes, R"({"n":2})");
  EXPECT_EQ(then.at("row7").attributes, R"({"n":1})");
  Open();
  EXPECT_EQ(Contents(films_->Latest()), then);
}

TEST_F(CollectionAttributesTest, FilesAreFewAndHoldWhatTheModelHoldsThroughRestarts) {
  std::mt19937 random(2);
  std::map<int, int> last;
  for (int n = 1; n <= 60; ++n) {
    const int from = static_cast<int>(random() % (kRows - 50));
    UpdateRows(from, from + 50, n);
    for (int i = from; i < from + 50; ++i) last[i] = n;
    if (n % 20 == 7) PutAll();  // another segment has them from now on
    if (n % 20 == 7) last.clear();
    ASSERT_TRUE(films_->Flush());
    EXPECT_LE(AttributesFiles().size(), 8U) << n;
    EXPECT_EQ(NamedFiles(), AttributesFiles()) << n;
    if (n % 9 == 0) Open();
    const Model now = Contents(films_->Latest());
    for (int i = 0; i < kRows; ++i) {
      const auto changed = last.find(i);
      const int its = changed == last.end() ? 0 : changed->second;
      EXPECT_EQ(now.at("row" + std::to_string(i)).attributes, "{\"n\":" + std::to_string(its) + "}")
          << n;
    }
  }
}

TEST_F(CollectionAttributesTest, AGenerationThatIsKeptHasThem) {
  UpdateRows(0, kRows, 1);
  const Model then = Contents(films_->Latest());
  const CollectionPaths kept{folder_.Path() + "/other", folder_.Path() + "/otherlive"};
  ASSERT_TRUE(films_->Freeze(
      [&](std::uint64_t) -> Result<std::optional<CollectionPaths>> { return kept; }));
  UpdateRows(0, kRows, 2);
  ASSERT_TRUE(films_->Flush());
  films_ = nullptr;
  auto other = Collection::Open(disk_, clock_, kept, kSchema, 1, {});
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(Contents((*other)->Latest()), then);
}

TEST_F(CollectionAttributesTest, DamageIsRefusedWithTheFilesName) {
  UpdateRows(0, kRows, 1);
  ASSERT_TRUE(films_->Flush());
  films_ = nullptr;
  const std::string path = *AttributesFiles().begin();
  std::string bytes = ReadFile(path).value();
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
  const auto refused = Collection::Open(disk_, clock_, Paths(), kSchema, 1, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInternal);
  EXPECT_TRUE(refused.error().message.contains(path)) << refused.error().message;
}

TEST_F(CollectionAttributesTest, ACheckpointOfTheFormatBeforeIsRead) {
  UpdateRows(0, 3, 1);
  ASSERT_TRUE(films_->Flush());
  const Model then = Contents(films_->Latest());
  films_ = nullptr;
  const std::string path = Paths().kept + "/checkpoint";
  std::string bytes = ReadFile(path).value();
  ASSERT_TRUE(Checkpoint().files.empty());
  bytes.resize(bytes.size() - 8);
  bytes.replace(0, 8, "SMVCHK01");
  bytes.erase(24, 8);  // how many files
  const std::uint64_t sum = Checksum(bytes);
  bytes.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
  std::ofstream(path, std::ios::binary) << bytes;
  Open();
  EXPECT_EQ(Contents(films_->Latest()), then);
}

}  // namespace
}  // namespace samovar
