#include "store/thin_zip.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "store/content_hash.h"
#include "store/package_store.h"
#include "store/zip_for_tests.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

class ThinZipTest : public testing::Test {
 protected:
  ThinZipTest() {
    std::string path = testing::TempDir() + "samovar-thin-XXXXXX";
    dir_ = mkdtemp(path.data());
    Reopen();
  }
  ~ThinZipTest() override { fs::remove_all(dir_); }

  void Reopen() { store_ = OpenPackageStore(dir_, {}).value(); }
  std::string Import(const std::string& bytes) {
    const auto staged = store_->NewStagingFile().value();
    std::ofstream(staged, std::ios::binary) << bytes;
    return store_->Import(staged).value().hash;
  }
  std::string ReadAll(const std::string& hash) {
    const auto pieces = store_->Read(hash).value();
    std::string all;
    for (;;) {
      const auto piece = pieces().value();
      if (piece.empty()) return all;
      all += piece;
    }
  }
  std::uint64_t Disk() const {
    std::map<ino_t, std::uint64_t> sizes;
    for (const auto& entry : fs::recursive_directory_iterator(dir_)) {
      struct stat about{};
      if (lstat(entry.path().c_str(), &about) == 0 && S_ISREG(about.st_mode)) {
        sizes[about.st_ino] = static_cast<std::uint64_t>(about.st_size);
      }
    }
    std::uint64_t sum = 0;
    for (const auto& [inode, size] : sizes) sum += size;
    return sum;
  }

  const std::string library_ = std::string(5 << 20, 'l');
  std::string dir_;
  std::unique_ptr<PackageStore> store_;
};

TEST_F(ThinZipTest, IsGivenOutAsItCame) {
  const auto zip = "#!/bin/sh before it\n" + ZipForTests()
                                                 .Add("app.py", "print(1)")
                                                 .Add("lib/a.so", library_)
                                                 .Add("lib/b.so", std::string(20'000, 'b'))
                                                 .Add("none", "")
                                                 .Bytes();
  const auto hash = Import(zip);
  ASSERT_TRUE(store_->Unpack(hash));
  EXPECT_EQ(fs::file_size(store_->BlobPath(hash)), 0u);
  EXPECT_TRUE(ReadAll(hash) == zip);
  EXPECT_EQ(store_->Find(hash)->size.count, zip.size());
  EXPECT_TRUE(store_->Holds(hash, "lib/a.so").value());
  EXPECT_FALSE(store_->Holds(hash, "lib").value());
  Reopen();
  fs::remove_all(dir_ + "/trees/" + hash);
  const auto tree = store_->Unpack(hash);
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ(fs::file_size(*tree + "/lib/a.so"), library_.size());
  EXPECT_TRUE(ReadAll(hash) == zip);
}

TEST_F(ThinZipTest, SharesWithOtherZips) {
  for (int i = 0; i < 5; ++i) {
    ZipForTests zip;
    zip.Add("app.py", "print(" + std::to_string(i) + ")").Add("lib/a.so", library_);
    ASSERT_TRUE(store_->Unpack(Import(zip.Bytes())));
  }
  EXPECT_LT(Disk(), library_.size() + 10'000);
}

TEST_F(ThinZipTest, ComesAgainAndGoes) {
  const auto zip = ZipForTests().Add("lib/a.so", library_).Bytes();
  const auto hash = Import(zip);
  ASSERT_TRUE(store_->Unpack(hash));
  EXPECT_EQ(Import(zip), hash);
  EXPECT_TRUE(ReadAll(hash) == zip);
  ASSERT_TRUE(store_->Unpack(hash));
  EXPECT_EQ(fs::file_size(store_->BlobPath(hash)), 0u);
  EXPECT_TRUE(ReadAll(hash) == zip);
  const timespec old{time(nullptr) - 7200, 0};
  const timespec times[2] = {old, old};
  ASSERT_EQ(utimensat(AT_FDCWD, store_->BlobPath(hash).c_str(), times, 0), 0);
  ASSERT_TRUE(store_->Collect({}));
  EXPECT_EQ(Disk(), 0u);
}

TEST_F(ThinZipTest, StaysAsItCameWhereItsPiecesCannotBeKept) {
  const auto zip = ZipForTests().Add("lib/a.so", library_).Bytes();
  const auto hash = Import(zip);
  const auto folder = dir_ + "/staging/zip";
  fs::create_directory(folder);
  KeptFiles kept(dir_ + "/files");
  ASSERT_TRUE(kept.Open());
  EXPECT_FALSE(MakeThinZip(store_->BlobPath(hash), std::string(64, '0'), folder, kept));
  EXPECT_TRUE(ReadAll(hash) == zip);
}

}  // namespace
}  // namespace samovar
