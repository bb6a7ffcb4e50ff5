#include "store/kept_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "store/package_store.h"
#include "store/zip_for_tests.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

class KeptFilesTest : public testing::Test {
 protected:
  KeptFilesTest() {
    std::string path = testing::TempDir() + "samovar-kept-XXXXXX";
    dir_ = mkdtemp(path.data());
    Reopen();
  }
  ~KeptFilesTest() override { fs::remove_all(dir_); }

  void Reopen(PackageOptions options = {}) {
    store_ = OpenPackageStore(dir_, options).value();
    kept_ = std::make_unique<KeptFiles>(dir_ + "/files");
    ASSERT_TRUE(kept_->Open());
  }
  // The hash of a package of these files, unpacked.
  std::string Unpack(const ZipForTests& zip) {
    const auto staged = store_->NewStagingFile().value();
    std::ofstream(staged, std::ios::binary) << zip.Bytes();
    const auto info = store_->Import(staged);
    EXPECT_TRUE(info) << info.error().message;
    const auto tree = store_->Unpack(info->hash);
    EXPECT_TRUE(tree) << tree.error().message;
    return info->hash;
  }
  struct stat About(const std::string& package, const std::string& file) {
    struct stat about{};
    EXPECT_EQ(stat((dir_ + "/trees/" + package + "/" + file).c_str(), &about), 0) << file;
    return about;
  }
  void Age(const std::string& package) {
    const timespec old{time(nullptr) - 7200, 0};
    const timespec times[2] = {old, old};
    ASSERT_EQ(utimensat(AT_FDCWD, store_->BlobPath(package).c_str(), times, 0), 0);
  }

  const std::string large_ = std::string(3 << 20, 'l');
  std::string dir_;
  std::unique_ptr<PackageStore> store_;
  std::unique_ptr<KeptFiles> kept_;
};

TEST_F(KeptFilesTest, GivePackagesOneInodeForOneContent) {
  const auto one = Unpack(ZipForTests().Add("lib/a.so", large_).Add("app.py", "one"));
  const auto two = Unpack(ZipForTests().Add("other/b.so", large_).Add("app.py", "two"));
  EXPECT_EQ(About(one, "lib/a.so").st_ino, About(two, "other/b.so").st_ino);
  EXPECT_NE(About(one, "app.py").st_ino, About(two, "app.py").st_ino);
  const auto usage = kept_->Usage().value();
  EXPECT_EQ(usage.files, 3u);
  EXPECT_EQ(usage.size.count, large_.size() + 6);
  EXPECT_EQ(usage.without_store.count, 2 * large_.size() + 6);
  EXPECT_EQ(usage.unused.count, 0u);
}

TEST_F(KeptFilesTest, KeepModesApartAndEmptyFilesToThemselves) {
  const auto one = Unpack(ZipForTests().Add("run", "x", 0100755).Add("text", "x").Add("none", ""));
  EXPECT_EQ(About(one, "run").st_mode & 0777, 0755u);
  EXPECT_EQ(About(one, "text").st_mode & 0777, 0644u);
  EXPECT_EQ(About(one, "none").st_nlink, 1u);
}

TEST_F(KeptFilesTest, KeepTimesOnlyWhereCompiledFilesAreMatchedByThem) {
  const auto plain = Unpack(ZipForTests().Add("m.py", "x"));
  EXPECT_EQ(About(plain, "m.py").st_mtim.tv_sec, KeptFile::kNoTime);
  const auto compiled = Unpack(ZipForTests().Add("m.py", "x").Add("d", "d").Add("m.pyc", "y"));
  EXPECT_GT(About(compiled, "m.py").st_mtim.tv_sec, KeptFile::kNoTime);
  EXPECT_EQ(About(compiled, "d").st_mtim.tv_sec, KeptFile::kNoTime);
  EXPECT_NE(About(compiled, "m.py").st_ino, About(plain, "m.py").st_ino);
}

TEST_F(KeptFilesTest, GoWithTheLastPackageThatUsesThem) {
  const auto one = Unpack(ZipForTests().Add("a.so", large_).Add("app.py", "one"));
  const auto two = Unpack(ZipForTests().Add("a.so", large_).Add("app.py", "two"));
  Age(one);
  Age(two);
  ASSERT_TRUE(store_->Collect({two}));
  EXPECT_EQ(kept_->Usage()->size.count, large_.size() + 3);
  EXPECT_EQ(About(two, "a.so").st_nlink, 2u);
  Age(two);
  ASSERT_TRUE(store_->Collect({}));
  EXPECT_EQ(kept_->Usage()->files, 0u);
}

TEST_F(KeptFilesTest, KeepWhatSomebodyWasPromised) {
  const auto one = Unpack(ZipForTests().Add("a.so", large_));
  fs::remove_all(dir_ + "/trees/" + one);
  fs::path name;
  for (const auto& entry : fs::recursive_directory_iterator(dir_ + "/files")) {
    if (entry.is_regular_file()) name = entry.path();
  }
  const KeptFile file{.hash = name.parent_path().filename().string() + name.filename().string(),
                      .size = large_.size()};
  EXPECT_TRUE(kept_->Has(file));
  EXPECT_EQ(kept_->Sweep()->count, 0u);
  EXPECT_EQ(kept_->Usage()->unused.count, large_.size());
  EXPECT_EQ(kept_->Sweep(true)->count, large_.size());
  EXPECT_FALSE(kept_->Has(file));
}

TEST_F(KeptFilesTest, AreMadeAnewWhereTheDiskLostTheirContent) {
  const auto one = Unpack(ZipForTests().Add("a.so", large_));
  fs::resize_file(dir_ + "/trees/" + one + "/a.so", 10);
  const auto two = Unpack(ZipForTests().Add("a.so", large_).Add("app.py", "two"));
  EXPECT_EQ(About(two, "a.so").st_size, static_cast<off_t>(large_.size()));
}

TEST_F(KeptFilesTest, AreNotSharedWhereFunctionsCouldWriteToThem) {
  Reopen({.share = false});
  const auto one = Unpack(ZipForTests().Add("a.so", large_));
  EXPECT_EQ(About(one, "a.so").st_nlink, 1u);
  EXPECT_EQ(kept_->Usage()->files, 0u);
}

TEST_F(KeptFilesTest, SurviveAReopening) {
  const auto one = Unpack(ZipForTests().Add("a.so", large_));
  std::ofstream(dir_ + "/files/replacing/half") << "h";
  Reopen();
  const auto two = Unpack(ZipForTests().Add("a.so", large_).Add("app.py", "two"));
  EXPECT_EQ(About(one, "a.so").st_ino, About(two, "a.so").st_ino);
  EXPECT_EQ(kept_->Usage()->files, 2u);
}

}  // namespace
}  // namespace samovar
