#include "collections/log.h"

#include <gtest/gtest.h>

#include "collections/test_files.h"

namespace samovar {
namespace {

struct Record {
  std::uint64_t generation;
  std::string body;
  friend bool operator==(const Record&, const Record&) = default;
};

struct Outcome {
  Result<std::uint64_t> size;
  std::vector<Record> records;
};

Outcome Read(std::string_view bytes, bool last) {
  std::uint64_t expected = 5;
  std::vector<Record> records;
  auto size = ReadLogBytes(bytes, "log-5", last, expected,
                           [&](std::uint64_t generation, std::string_view body) -> Result<void> {
                             records.push_back({generation, std::string(body)});
                             return {};
                           });
  return {size, records};
}

const std::vector<Record> kRecords{
    {5, "first"}, {6, std::string(100, '\0') + "second"}, {7, std::string(700, 'x')}};

class LogTest : public ::testing::Test {
 protected:
  std::string Written() {
    auto log = CollectionLog::Create(disk_, folder_.Path(), 5);
    CHECK(log.has_value());
    CHECK(log->Append({{5, kRecords[0].body}, {6, kRecords[1].body}}).has_value());
    CHECK(log->Append({{7, kRecords[2].body}}).has_value());
    return ReadFile(LogFiles(folder_.Path())->at(0).path).value();
  }
  TestFolder folder_;
  FailingDisk disk_;
};

TEST_F(LogTest, GivesBackWhatWasAppended) {
  const std::string bytes = Written();
  for (bool last : {true, false}) {
    const auto read = Read(bytes, last);
    ASSERT_TRUE(read.size);
    EXPECT_EQ(*read.size, bytes.size());
    EXPECT_EQ(read.records, kRecords);
  }
}

TEST_F(LogTest, ATornEndIsCutWhereverItTore) {
  const std::string bytes = Written();
  std::size_t whole = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    for (std::size_t zeros : {0, 3, 600}) {
      const auto read = Read(bytes.substr(0, size) + std::string(zeros, '\0'), true);
      // Zeros within a head are no end that a crash leaves: a head is in one sector or in none.
      if (!read.size) {
        EXPECT_NE(zeros, 0U) << size;
        continue;
      }
      EXPECT_LE(*read.size, size + zeros);
      EXPECT_TRUE(std::equal(read.records.begin(), read.records.end(), kRecords.begin()));
      whole = std::max(whole, read.records.size());
    }
    if (size > 0 && size < bytes.size()) {
      const auto read = Read(bytes.substr(0, size), false);
      // Only the last file may be torn; a whole number of records is no damage.
      EXPECT_TRUE(!read.size || *read.size == size) << size;
    }
  }
  EXPECT_EQ(whole, 2U);
}

TEST_F(LogTest, AnyFlippedBitIsRefusedWithFileAndOffset) {
  const std::string bytes = Written();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit : {0, 5}) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      const auto read = Read(flipped, true);
      ASSERT_FALSE(read.size) << at;
      EXPECT_TRUE(read.size.error().message.starts_with("log-5 is damaged at offset "))
          << read.size.error().message;
      EXPECT_EQ(read.size.error().code, Code::kInternal);
    }
  }
}

// A disk may write the sectors of one write in any order, and a crash come in between.
TEST_F(LogTest, InRoomMadeAheadTheLastWriteMayLackAnySectorsAndNoOtherMay) {
  Disk disk;
  auto log = CollectionLog::Prepare(disk, folder_.Path(), 3 << 20).value();
  ASSERT_TRUE(log.Start(folder_.Path(), 5));
  const std::vector<std::string> bodies{std::string(1500, 'a'), std::string(1200, 'b'),
                                        std::string(900, 'c')};
  ASSERT_TRUE(log.Append({{5, bodies[0]}}));
  const std::size_t first = log.Size();
  ASSERT_TRUE(log.Append({{6, bodies[1]}, {7, bodies[2]}}));
  const std::size_t end = log.Size();
  const std::string bytes = ReadFile(LogFiles(folder_.Path())->at(0).path).value();
  ASSERT_EQ(bytes.size(), 3U << 20);
  for (const bool last : {true, false}) {  // a flush may come long before the room is used
    const auto whole = Read(bytes, last);
    ASSERT_TRUE(whole.size);
    EXPECT_EQ(*whole.size, end);
    EXPECT_EQ(whole.records.size(), 3U);
  }
  auto without = [&](std::size_t from, std::size_t sector) {
    std::string part = bytes;
    const std::size_t begin = std::max(from, sector * 512);
    const std::size_t behind = std::min(part.size(), (sector + 1) * 512);
    if (begin < behind) std::fill(part.begin() + begin, part.begin() + behind, '\0');
    return part;
  };
  const std::size_t sectors = end / 512 - first / 512 + 1;
  for (std::size_t lost = 1; lost < std::size_t{1} << sectors; ++lost) {
    std::string part = bytes;
    for (std::size_t i = 0; i < sectors; ++i) {
      if (lost >> i & 1) {
        const std::string one = without(first, first / 512 + i);
        for (std::size_t j = 0; j < part.size() && j < end; ++j) part[j] &= one[j];
      }
    }
    const auto read = Read(part, true);
    ASSERT_TRUE(read.size) << lost << ": " << read.size.error().message;
    ASSERT_GE(*read.size, first);
    ASSERT_GE(read.records.size(), 1U);
    EXPECT_EQ(read.records[0].body, bodies[0]);
  }
  for (std::size_t sector = 0; sector <= first / 512; ++sector) {
    std::string part = without(0, sector);
    std::copy(bytes.begin() + first, bytes.begin() + end, part.begin() + first);
    EXPECT_FALSE(Read(part, true).size) << "sector " << sector << " was synced";
  }
}

TEST_F(LogTest, AFailedAppendLeavesNothingBehind) {
  for (int fail = 1; fail <= 2; ++fail) {
    TestFolder folder;
    auto log = CollectionLog::Create(disk_, folder.Path(), 5);
    ASSERT_TRUE(log);
    ASSERT_TRUE(log->Append({{5, "first"}}));
    disk_.FailAt(fail);
    EXPECT_FALSE(log->Append({{6, "refused"}}));
    EXPECT_FALSE(log->Broken());
    ASSERT_TRUE(log->Append({{6, "second"}}));
    const auto read = Read(ReadFile(LogFiles(folder.Path())->at(0).path).value(), true);
    EXPECT_EQ(read.records, (std::vector<Record>{{5, "first"}, {6, "second"}}));
  }
}

TEST_F(LogTest, ALogThatCannotBeMendedTakesNothingMore) {
  auto log = CollectionLog::Create(disk_, folder_.Path(), 5);
  ASSERT_TRUE(log);
  disk_.FailAt(1, 2);
  EXPECT_FALSE(log->Append({{5, "refused"}}));
  EXPECT_TRUE(log->Broken());
  EXPECT_EQ(log->Append({{5, "again"}}).error().code, Code::kUnavailable);
}

// Started without a sync: it may still have the name with which it was prepared.
TEST_F(LogTest, ALogThatWasStartedIsFoundUnderEitherName) {
  TestFolder folder;
  Disk disk;
  auto log = CollectionLog::Prepare(disk, folder.Path()).value();
  ASSERT_TRUE(log.Start(folder.Path(), 5));
  const std::string body = "changes";
  ASSERT_TRUE(log.Append({{5, body}}));
  ASSERT_TRUE(log.Append({{6, body}}));
  const std::string path = LogFiles(folder.Path())->front().path;
  const std::string next = folder.Path() + kNextLog;
  for (const bool renamed : {true, false}) {
    if (!renamed) std::filesystem::rename(path, next);
    ASSERT_TRUE(NameStartedLog(disk, folder.Path()));
    EXPECT_FALSE(std::filesystem::exists(next));
    std::uint64_t expected = 5;
    const std::string bytes = ReadFile(path).value();
    EXPECT_EQ(ReadLogBytes(bytes, "log", true, expected,
                           [&](std::uint64_t, std::string_view its) -> Result<void> {
                             EXPECT_EQ(its, body);
                             return {};
                           }),
              bytes.size());
    EXPECT_EQ(expected, 7U);
  }
  // One that nobody began is no log.
  ASSERT_TRUE(CollectionLog::Prepare(disk, folder.Path()));
  ASSERT_TRUE(NameStartedLog(disk, folder.Path()));
  EXPECT_EQ(LogFiles(folder.Path())->size(), 1U);
}

}  // namespace
}  // namespace samovar
