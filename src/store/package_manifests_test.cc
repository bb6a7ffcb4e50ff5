// Packages that come as manifests (PackageStore::ImportManifest and what goes with it).

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "store/content_hash.h"
#include "store/manifest.h"
#include "store/package_store.h"
#include "store/zip_for_tests.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

std::string File(const std::string& path, const std::string& content, bool executable = false) {
  return ManifestLine(
      {.path = path,
       .link = "",
       .file = {
           .hash = ContentHash::Of(content), .size = content.size(), .executable = executable}});
}
std::string Link(const std::string& path, const std::string& target) {
  return ManifestLine({.path = path, .link = target, .file = {}});
}

class PackageManifestsTest : public testing::Test {
 protected:
  PackageManifestsTest() {
    std::string path = testing::TempDir() + "samovar-manifests-XXXXXX";
    dir_ = mkdtemp(path.data());
    store_ = OpenPackageStore(dir_, {}).value();
  }
  ~PackageManifestsTest() override { fs::remove_all(dir_); }

  std::string Stage(const std::string& bytes) {
    const auto staged = store_->NewStagingFile().value();
    std::ofstream(staged, std::ios::binary) << bytes;
    return staged;
  }
  Result<ManifestTaken> Send(const std::string& lines) {
    const auto staged = Stage(std::string(kManifestHead) + lines);
    auto taken = store_->ImportManifest(staged);
    store_->Discard(staged);
    return taken;
  }
  // "" where it is taken, "missing", or the error.
  std::string Answer(const std::string& lines) {
    const auto taken = Send(lines);
    if (!taken) return taken.error().message;
    return taken->missing.empty() ? "" : "missing";
  }
  void Keep(const ZipForTests& zip) {
    const auto kept = store_->KeepFiles(Stage(zip.Bytes()));
    ASSERT_TRUE(kept) << kept.error().message;
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

  std::string dir_;
  std::unique_ptr<PackageStore> store_;
};

TEST_F(PackageManifestsTest, AreTakenOnceAllTheirFilesAreHere) {
  const auto lines = File("app.py", "print(1)") + File("bin/run", "#!", true) + File("none", "") +
                     Link("x", "bin/run");
  const auto asked = Send(lines);
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(asked->missing.size(), 2u);
  Keep(ZipForTests().Add("0", "print(1)").Add("1", "#!", 0100755));
  const auto taken = Send(lines);
  ASSERT_TRUE(taken && taken->missing.empty());
  EXPECT_EQ(taken->package.size.count, 10u);
  EXPECT_EQ(taken->package.hash, ContentHash::Of(std::string(kManifestHead) + lines));
  const auto tree = store_->Unpack(taken->package.hash).value();
  EXPECT_EQ(fs::read_symlink(tree + "/x"), "bin/run");
  EXPECT_EQ(fs::file_size(tree + "/none"), 0u);
  EXPECT_EQ(fs::status(tree + "/bin/run").permissions(), fs::perms(0755));
  EXPECT_TRUE(store_->Holds(taken->package.hash, "bin/run").value());
  EXPECT_FALSE(store_->Holds(taken->package.hash, "bin").value());
}

TEST_F(PackageManifestsTest, NeedOnlyWhatChanged) {
  Keep(ZipForTests().Add("0", "library").Add("1", "first"));
  ASSERT_EQ(Answer(File("app.py", "first") + File("lib.so", "library")), "");
  const auto second = Send(File("app.py", "second") + File("lib.so", "library"));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->missing, std::vector<std::string>{ContentHash::Of("second")});
}

TEST_F(PackageManifestsTest, FindTheFilesOfZips) {
  const auto info = store_->Import(Stage(ZipForTests().Add("a/lib.so", "library").Bytes()));
  ASSERT_TRUE(info && store_->Unpack(info->hash));
  EXPECT_EQ(Answer(File("other.so", "library")), "");
}

TEST_F(PackageManifestsTest, AreReadAsTheZipTheyWouldBe) {
  Keep(ZipForTests().Add("0", "print(1)").Add("1", std::string(700'000, 'r'), 0100755));
  const auto taken = Send(File("app.py", "print(1)") +
                          File("bin/run", std::string(700'000, 'r'), true) + Link("l", "app.py"));
  ASSERT_TRUE(taken && taken->missing.empty());
  const auto again = store_->Import(Stage(ReadAll(taken->package.hash)));
  ASSERT_TRUE(again) << again.error().message;
  const auto tree = store_->Unpack(again->hash).value();
  EXPECT_EQ(fs::file_size(tree + "/bin/run"), 700'000u);
  EXPECT_EQ(fs::status(tree + "/bin/run").permissions(), fs::perms(0755));
  EXPECT_EQ(fs::read_symlink(tree + "/l"), "app.py");
}

TEST_F(PackageManifestsTest, LeaveTheTreeNoMoreThanZipsDo) {
  Keep(ZipForTests().Add("0", "x"));
  const std::pair<std::string, std::string> hostile[] = {
      {File("../x", "x"), "leaves the package"},
      {File("/etc/x", "x"), "absolute"},
      {Link("l", "../../etc/passwd"), "symlink that leaves"},
      {Link("l", "/etc/passwd"), "symlink that leaves"},
      {File("a", "x") + File("a/b", "x"), "lies under a file"},
      {File("./a", "x") + File("a", "x"), "twice"},
      {Link("a", "b") + File("a/c", "x"), "twice"},
      {File("b", "x") + File("a", "x"), "sorted"},
      {File("a", "x") + File("a", "x"), "sorted"},
      {"f 12 1 a\n", "line 2"},
      {"f " + std::string(64, 'a') + " 99999999999999999999 a\n", "line 2"},
      {"q\n", "line 2"},
      {"f", "line 2"},
      {std::string(100'000, 'f'), "line 2"},
      {"", "no files"},
  };
  for (const auto& [lines, why] : hostile) {
    EXPECT_NE(Answer(lines).find(why), std::string::npos) << lines.substr(0, 99) << Answer(lines);
  }
  EXPECT_FALSE(store_->ImportManifest(Stage("samovar-package 2\n")));
  EXPECT_TRUE(fs::is_empty(dir_ + "/trees"));
  EXPECT_TRUE(fs::is_empty(dir_ + "/blobs"));
}

TEST_F(PackageManifestsTest, DoNotBelieveTheNamesOfWhatWasSent) {
  Keep(ZipForTests().Add(ContentHash::Of("good"), "evil"));
  EXPECT_EQ(Answer(File("a", "good")), "missing");
}

TEST_F(PackageManifestsTest, DoNotBelieveTheirSizes) {
  Keep(ZipForTests().Add("0", "four"));
  EXPECT_EQ(Answer(ManifestLine(
                {.path = "a", .link = "", .file = {.hash = ContentHash::Of("four"), .size = 5}})),
            "missing");
}

TEST_F(PackageManifestsTest, AreListedWithWhatIsTheirsAlone) {
  const std::string record = "words.py,,\nwords-1.0.dist-info/RECORD,,\n../../bin/w,,\n";
  Keep(ZipForTests().Add("0", "library").Add("1", "a1").Add("2", "b2").Add("3", record));
  const auto wheel = File("words-1.0.dist-info/RECORD", record) + File("words.py", "library");
  ASSERT_EQ(Answer(File("app.py", "a1") + wheel), "");
  ASSERT_EQ(Answer(File("app.py", "b2") + wheel), "");
  const auto listing = store_->List().value();
  ASSERT_EQ(listing.packages.size(), 2u);
  for (const auto& package : listing.packages) {
    EXPECT_EQ(package.files, 3u);
    EXPECT_EQ(package.size.count, 9 + record.size());
    ASSERT_EQ(package.libraries.size(), 1u);
    EXPECT_EQ(package.libraries[0].name + " " + package.libraries[0].version, "words 1.0");
    EXPECT_EQ(package.libraries[0].size.count, 7 + record.size());
    EXPECT_EQ(package.libraries[0].inode, listing.packages[0].libraries[0].inode);
    EXPECT_LT(package.own.count, 400u);  // its manifest and app.py
  }
  EXPECT_EQ(listing.files.files, 4u);
}

TEST_F(PackageManifestsTest, GoWhenPruned) {
  Keep(ZipForTests().Add("0", "library"));
  const auto taken = Send(File("a", "library"));
  ASSERT_TRUE(taken && taken->missing.empty());
  const timespec old{time(nullptr) - 120, 0};
  const timespec times[2] = {old, old};
  ASSERT_EQ(utimensat(AT_FDCWD, store_->BlobPath(taken->package.hash).c_str(), times, 0), 0);
  EXPECT_EQ(store_->Prune({taken->package.hash})->count, 0u);
  EXPECT_GE(store_->Prune({})->count, 7u);
  EXPECT_FALSE(store_->Find(taken->package.hash));
  EXPECT_EQ(Answer(File("a", "library")), "missing");
}

}  // namespace
}  // namespace samovar
