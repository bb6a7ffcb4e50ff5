#include "collections/piece_writer.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "collections/test_files.h"

namespace samovar {
namespace {

class CountingDisk : public Disk {
 public:
  Result<void> WriteHuge(int fd, std::uint64_t at, std::string_view bytes,
                         const std::string& path) override {
    ++huge;
    writes.push_back({at, bytes.size()});
    return Disk::WriteHuge(fd, at, bytes, path);
  }
  Result<void> Write(int fd, std::uint64_t at, std::string_view bytes,
                     const std::string& path) override {
    writes.push_back({at, bytes.size()});
    return Disk::Write(fd, at, bytes, path);
  }
  Result<void> Sync(int fd, const std::string& path) override {
    synced.push_back(writes.size());
    return Disk::Sync(fd, path);
  }
  std::size_t huge = 0;
  std::vector<std::pair<std::uint64_t, std::size_t>> writes;
  std::vector<std::size_t> synced;  // how many writes came before
};

TEST(PieceWriter, WritesWholeHugePagesHoweverTheBytesComeAndSyncsEach) {
  TestFolder folder;
  const std::string path = folder.Path() + "/file";
  std::string wanted(3 * kHugePage + 1234, '\0');
  std::mt19937 random(1);
  for (char& c : wanted) c = static_cast<char>(random());
  for (const auto& [part, pages] : {std::pair{std::size_t{4096}, Pages::kHuge},
                                    {std::size_t{100'000}, Pages::kSmall},
                                    {2 * kHugePage + 7, Pages::kHuge}}) {
    CountingDisk disk;
    const Fd file = disk.Create(path).value();
    PieceWriter out(disk, file.Get(), path, pages);
    for (std::size_t at = 0; at < wanted.size(); at += part) {
      EXPECT_EQ(out.At(), at);
      ASSERT_TRUE(out.Add(std::string_view(wanted).substr(at, part)));
    }
    ASSERT_TRUE(out.Finish());
    ASSERT_TRUE(out.Finish());  // nothing is left
    EXPECT_EQ(ReadFile(path).value(), wanted);
    ASSERT_EQ(disk.writes.size(), 4U);
    EXPECT_EQ(disk.huge, pages == Pages::kHuge ? 3U : 0U);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(disk.writes[i].first, i * kHugePage);
      EXPECT_EQ(disk.writes[i].second, i < 3 ? kHugePage : 1234U);
    }
    EXPECT_EQ(disk.synced, (std::vector<std::size_t>{1, 2, 3, 4}));
  }
}

}  // namespace
}  // namespace samovar
