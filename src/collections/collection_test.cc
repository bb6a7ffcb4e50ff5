#include "collections/collection.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "collections/collection_model.h"
#include "collections/reader.h"
#include "collections/test_files.h"

namespace samovar {
namespace {

const Schema kSchema{6, Metric::kL2, Storage::kF32};
constexpr std::uint64_t kSeed = 42;

CollectionOptions SmallSegments() {
  CollectionOptions options;
  options.first_rows = 16;
  options.most_rows = 64;
  options.inline_bytes = 300;
  return options;
}

class CollectionTest : public ::testing::Test {
 protected:
  void Make() { ASSERT_TRUE(Collection::Create(disk_, Paths())); }
  CollectionPaths Paths() const { return {folder_.Path() + "/kept", folder_.Path() + "/live"}; }
  Result<std::shared_ptr<Collection>> Open(const Schema& schema = kSchema) {
    return Collection::Open(disk_, clock_, Paths(), schema, kSeed, SmallSegments());
  }
  std::shared_ptr<Collection> Opened(const Schema& schema = kSchema) {
    auto opened = Open(schema);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? *opened : nullptr;
  }
  static Batch PutOne(std::string_view id, std::vector<float> vector, std::string_view text = "") {
    Batch batch(kSchema);
    EXPECT_TRUE(batch.Put(id, vector, text));
    return batch;
  }
  void FlipByte(const std::string& path, std::uint64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
    ASSERT_TRUE(file.flush()) << path;
  }
  std::string SegmentFile() const {
    for (const auto& entry : std::filesystem::directory_iterator(Paths().live)) {
      const std::string path = entry.path().string();
      if (!path.contains("/segment-")) continue;
      const auto bytes = ReadFile(path).value();
      if (bytes[17] == 0) return path;  // SegmentHeader::open
    }
    return "";
  }
  TestFolder folder_;
  FailingDisk disk_;
  FakeClock clock_;
};

TEST_F(CollectionTest, ABatchIsVisibleWithItsGeneration) {
  Make();
  auto films = Opened();
  const Snapshot before = films->Latest();
  Batch batch(kSchema);
  ASSERT_TRUE(batch.Put("a", std::vector<float>{1, 0, 0, 0, 0, 0}, R"({"year": 1999})"));
  ASSERT_TRUE(batch.Put("b", std::vector<float>{0, 1, 0, 0, 0, 0}));
  ASSERT_TRUE(batch.Put("a", std::vector<float>{2, 0, 0, 0, 0, 0}, R"({"year": 2000})"));
  ASSERT_TRUE(batch.Update("b", R"({"seen": true})"));
  ASSERT_TRUE(batch.Delete("nobody"));
  const auto ack = CommitOne(*films, batch);
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->generation, 1U);
  EXPECT_EQ(ack->put, 3U);
  EXPECT_EQ(ack->updated, 1U);
  EXPECT_EQ(ack->deleted, 0U);
  EXPECT_EQ(ack->missing, std::vector<std::string>{"nobody"});
  const Model wanted{{"a", {{2, 0, 0, 0, 0, 0}, R"({"year":2000})"}},
                     {"b", {{0, 1, 0, 0, 0, 0}, R"({"seen":true})"}}};
  EXPECT_EQ(Contents(films->Latest()), wanted);
  EXPECT_EQ(films->Latest().Generation(), 1U);
  EXPECT_EQ(films->Stats().rows, 2U);
  EXPECT_TRUE(Contents(before).empty());
  ASSERT_TRUE(films->Flush());
  EXPECT_EQ(films->Stats().stored_rows, 2U);
}

TEST_F(CollectionTest, HoldsWhatItsModelHoldsThroughFlushesAndRestarts) {
  Make();
  std::mt19937 random(1);
  Model model;
  auto films = Opened();
  auto reader = CollectionReader::Open(Paths().live);
  ASSERT_TRUE(reader);
  std::vector<std::pair<Snapshot, Model>> pinned;
  for (int i = 0; i < 400; ++i) {
    const Batch batch = RandomBatch(random, kSchema, model, 300);
    const auto ack = CommitOne(*films, batch);
    ASSERT_TRUE(ack) << ack.error().message;
    if (i % 37 == 0) pinned.emplace_back((*reader)->Latest().value(), model);
    if (films->WantsFlush() && i % 3 == 0) ASSERT_TRUE(films->Flush());
    if (i % 50 == 49) films = Opened();
    const auto seen = (*reader)->AtLeast(ack->generation, std::chrono::seconds(5));
    ASSERT_TRUE(seen) << seen.error().message;
    ASSERT_EQ(Contents(*seen), model) << "after batch " << i;
    ASSERT_EQ(Contents(films->Latest()), model);
    ASSERT_EQ(films->Stats().rows, model.size());
  }
  // What a reader has pinned stays as it was, also through the restarts of the writer.
  for (const auto& [snapshot, then] : pinned) {
    EXPECT_EQ(snapshot.Count(), then.size());
    for (const auto& [id, row] : then) {
      const auto found = snapshot.Find(id);
      ASSERT_TRUE(found);
      EXPECT_EQ(snapshot.Vector(*found), row.vector);
    }
  }
}

TEST_F(CollectionTest, SearchFindsTheNearestOfTheFilteredRows) {
  Make();
  std::mt19937 random(2);
  Model model;
  auto films = Opened();
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(CommitOne(*films, RandomBatch(random, kSchema, model, 500)));
    if (i % 20 == 10) ASSERT_TRUE(films->Flush());
  }
  const Snapshot snapshot = films->Latest();
  for (const char* text :
       {"", R"({"range": {"n": {"gte": 50}}})", R"({"not": {"eq": {"m": 3}}})"}) {
    const Filter filter = *text ? Filter::Parse(text).value() : Filter();
    const std::vector<float> wanted{1, -2, 0.5, 3, 0, 1};
    std::vector<float> distances;
    for (const auto& [id, row] : model) {
      if (!filter.Matches(row.attributes)) continue;
      float square = 0;
      for (std::size_t d = 0; d < 6; ++d) {
        square += (row.vector[d] - wanted[d]) * (row.vector[d] - wanted[d]);
      }
      distances.push_back(std::sqrt(square));
    }
    std::ranges::sort(distances);
    const auto hits = snapshot.Search(wanted, 25, filter);
    ASSERT_TRUE(hits);
    ASSERT_EQ(hits->size(), std::min<std::size_t>(25, distances.size()));
    for (std::size_t i = 0; i < hits->size(); ++i) {
      EXPECT_FLOAT_EQ((*hits)[i].score, distances[i]);
      EXPECT_TRUE(filter.Matches(snapshot.Attributes((*hits)[i].row).value()));
    }
  }
  EXPECT_EQ(snapshot.Search(std::vector<float>{1}, 5).error().code, Code::kInvalid);
  EXPECT_EQ(snapshot.Search(std::vector<float>(6), 0).error().code, Code::kInvalid);
}

TEST_F(CollectionTest, ABatchLargerThanASegmentIsStillOneGeneration) {
  Make();
  auto films = Opened();
  Batch batch(kSchema);
  for (int i = 0; i < 1000; ++i) {
    const std::string text = R"({"text": ")" + std::string(500, 'x') + R"("})";
    ASSERT_TRUE(batch.Put(std::to_string(i), std::vector<float>(6, 1), text));
  }
  ASSERT_EQ(CommitOne(*films, batch)->generation, 1U);
  EXPECT_EQ(films->Latest().Count(), 1000U);
  EXPECT_EQ(Opened()->Latest().Count(), 1000U);
}

TEST_F(CollectionTest, AnUpdateRewritesNoSegment) {
  Make();
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, PutOne("a", {1, 2, 3, 4, 5, 6}, R"({"n": 0})")));
  ASSERT_TRUE(films->Flush());
  const std::string path = SegmentFile();
  const std::string before = ReadFile(path).value();
  for (int i = 1; i <= 20; ++i) {
    Batch batch(kSchema);
    ASSERT_TRUE(batch.Update("a", "{\"n\":" + std::to_string(i) + "}"));
    ASSERT_TRUE(CommitOne(*films, batch));
  }
  EXPECT_EQ(ReadFile(path).value(), before);
  const auto row = films->Latest().Find("a");
  EXPECT_EQ(films->Latest().Attributes(*row).value(), R"({"n":20})");
}

TEST_F(CollectionTest, AnUpdateThatWouldBeTooLargeRefusesItsBatchAlone) {
  Make();
  auto films = Opened();
  auto growing = [](char member) {
    Batch batch(kSchema);
    const std::string text =
        "{\"" + std::string(1, member) + "\":\"" + std::string(40'000, 'x') + "\"}";
    EXPECT_TRUE(batch.Update("a", text));
    return batch;
  };
  const Batch put = PutOne("a", {1, 2, 3, 4, 5, 6});
  const Batch first = growing('f');
  const Batch second = growing('s');
  const Batch last = PutOne("b", {1, 2, 3, 4, 5, 6});
  const auto acks = films->Commit({put.Bytes(), first.Bytes(), second.Bytes(), last.Bytes()});
  ASSERT_EQ(acks.size(), 4U);
  EXPECT_EQ(acks[1]->updated, 1U);
  EXPECT_EQ(acks[2].error().code, Code::kTooLarge);
  EXPECT_EQ(acks[3]->generation, 3U);
  EXPECT_EQ(films->Latest().Count(), 2U);
  EXPECT_EQ(Contents(Opened()->Latest()), Contents(films->Latest()));
}

TEST_F(CollectionTest, AViewOfLongAgoEndsAndItsReaderIsTold) {
  Make();
  auto films = Opened();
  ASSERT_TRUE(CommitOne(*films, PutOne("a", {1, 2, 3, 4, 5, 6})));
  ASSERT_TRUE(films->Flush());
  auto reader = CollectionReader::Open(Paths().live);
  ASSERT_TRUE(reader);
  const auto old = (*reader)->Latest().value();
  ASSERT_TRUE(CommitOne(*films, PutOne("b", {1, 2, 3, 4, 5, 6})));
  ASSERT_TRUE(films->Flush());  // its segment takes a's in
  films->Expire();
  EXPECT_TRUE(old.Check());
  EXPECT_EQ(Contents(old).size(), 1U);
  clock_.Advance(std::chrono::minutes(16));
  films->Expire();
  EXPECT_EQ(old.Check().error().code, Code::kConflict);
  EXPECT_EQ(old.Search(std::vector<float>(6), 1).error().code, Code::kConflict);
  EXPECT_FALSE(old.Find("a"));  // zeros, and no crash
  EXPECT_EQ((*reader)->Latest()->Count(), 2U);
}

TEST_F(CollectionTest, WhatNobodyReadsIsFreedAtOnce) {
  Make();
  auto films = Opened();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(CommitOne(*films, PutOne("a", {1, 2, 3, 4, 5, 6})));
    ASSERT_TRUE(films->Flush());
    films->Expire();
  }
  int deleted = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    const auto target = std::filesystem::read_symlink(entry.path(), ignored).string();
    if (target.starts_with(Paths().live) && target.ends_with(" (deleted)")) ++deleted;
  }
  EXPECT_EQ(deleted, 0);
  EXPECT_EQ(films->Stats().segments, 2U);  // one sealed, one open
}

TEST_F(CollectionTest, DamageIsRefusedWithFileAndOffset) {
  Make();
  auto films = Opened();
  std::mt19937 random(3);
  Model model;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(CommitOne(*films, RandomBatch(random, kSchema, model, 100)));
  }
  ASSERT_TRUE(films->Flush());
  ASSERT_TRUE(CommitOne(*films, RandomBatch(random, kSchema, model, 100)));
  ASSERT_TRUE(CommitOne(*films, RandomBatch(random, kSchema, model, 100)));
  films.reset();
  const std::string log = LogFiles(Paths().kept)->back().path;
  const std::string segment = SegmentFile();
  const auto segment_size = std::filesystem::file_size(segment);
  const std::pair<std::string, std::uint64_t> flips[] = {{Paths().kept + "/checkpoint", 20},
                                                         {log, 3},
                                                         {log, 30},
                                                         {log, 70},
                                                         {segment, 5},
                                                         {segment, 4096 + 50},
                                                         {segment, segment_size / 2},
                                                         {segment, segment_size - 3}};
  for (const auto& [path, at] : flips) {
    FlipByte(path, at);
    const auto refused = Open();
    ASSERT_FALSE(refused) << path << " " << at;
    EXPECT_EQ(refused.error().code, Code::kInternal);
    const std::string name = std::filesystem::path(path).filename().string();
    EXPECT_TRUE(refused.error().message.contains(name)) << refused.error().message;
    EXPECT_TRUE(refused.error().message.contains("offset")) << refused.error().message;
    FlipByte(path, at);
  }
  EXPECT_EQ(Contents(Opened()->Latest()), model);
}

}  // namespace
}  // namespace samovar
