#include "main/zip_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "main/ignore_rules.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

class ZipFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "samovar-zip-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void Put(const std::string& path, const std::string& text, mode_t mode = 0644) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
    chmod((root_ / path).c_str(), mode);
  }
  std::vector<std::string> Paths(const std::vector<ZipRoot>& roots) {
    std::vector<std::string> out;
    const auto listing = ListFolders(roots);
    EXPECT_TRUE(listing) << listing.error().message;
    for (const ZipEntry& entry : listing->entries) out.push_back(entry.path);
    return out;
  }
  std::string Zip(const std::vector<ZipRoot>& roots, const std::string& name) {
    const auto result = WriteZip(*ListFolders(roots), root_ / name, nullptr);
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(HashFile(root_ / name)->sha256, result->sha256);
    EXPECT_EQ(fs::file_size(root_ / name), result->size);
    return result->sha256;
  }
  ZipRoot Root(const std::string& folder, const std::string& prefix = "") {
    return {.folder = root_ / folder, .prefix = prefix};
  }

  fs::path root_;
};

TEST_F(ZipFolderTest, GivesTheSameBytesWhateverTimesOrderAndTimeZone) {
  Put("a/z.py", "z");
  Put("a/lib/m.py", std::string(100'000, 'm'));
  Put("a/run", "#!", 0700);
  const std::string first = Zip({Root("a")}, "1.zip");
  Put("b/run", "#!", 0755);
  Put("b/lib/m.py", std::string(100'000, 'm'), 0600);
  Put("b/z.py", "z");
  const timeval old[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  utimes((root_ / "b/z.py").c_str(), old);
  setenv("TZ", "Asia/Tokyo", 1);
  tzset();
  EXPECT_EQ(Zip({Root("b")}, "2.zip"), first);
  setenv("TZ", "America/Los_Angeles", 1);
  tzset();
  EXPECT_EQ(Zip({Root("b")}, "3.zip"), first);
  unsetenv("TZ");
  tzset();
  Put("b/z.py", "y");
  EXPECT_NE(Zip({Root("b")}, "4.zip"), first);
}

TEST_F(ZipFolderTest, IsReadByOtherProgramsWithModesAndLinks) {
  Put("a/run", "#!/bin/sh\n", 0755);
  Put("a/data/x", "content");
  fs::create_symlink("data/x", root_ / "a/link");
  Zip({Root("a")}, "1.zip");
  const std::string out = root_ / "out";
  fs::create_directory(out);
  const std::string program =
      "import os,stat,sys,zipfile\n"
      "z=zipfile.ZipFile(sys.argv[1])\n"
      "assert z.testzip() is None\n"
      "i={e.filename:e for e in z.infolist()}\n"
      "assert sorted(i)==['data/x','link','run'],i\n"
      "assert i['run'].external_attr>>16==0o100755,oct(i['run'].external_attr>>16)\n"
      "assert stat.S_ISLNK(i['link'].external_attr>>16)\n"
      "assert z.read('link')==b'data/x' and z.read('data/x')==b'content'\n"
      "assert i['run'].date_time[:3]==(1980,1,1),i['run'].date_time\n";
  std::ofstream(root_ / "check.py") << program;
  const std::string command =
      "python3 " + (root_ / "check.py").string() + " " + (root_ / "1.zip").string();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(ZipFolderTest, LeavesOutWhatNeverBelongsInAPackage) {
  for (const char* path : {"app.py", ".git/HEAD", ".venv/bin/python", "lib/__pycache__/x.pyc",
                           "lib/x.py", "notes.txt", "keep/notes.txt", ".samovar-build/1.zip"}) {
    Put(std::string("a/") + path, "x");
  }
  Put("a/.samignore", "# mine\n*.txt\n!keep/notes.txt\n");
  EXPECT_THAT(Paths({Root("a")}), testing::ElementsAre("app.py", "keep/notes.txt", "lib/x.py"));
}

TEST_F(ZipFolderTest, LaysLaterFoldersOverEarlierOnes) {
  Put("deps/app.py", "theirs");
  Put("deps/six.py", "six");
  Put("src/app.py", "mine");
  const auto listing = ListFolders({Root("deps"), Root("src")});
  ASSERT_EQ(listing->entries.size(), 2U);
  EXPECT_EQ(listing->entries[0].source, root_ / "src/app.py");
  EXPECT_THAT(Paths({Root("deps", "python/")}),
              testing::ElementsAre("python/app.py", "python/six.py"));
}

TEST_F(ZipFolderTest, RefusesLinksThatLeaveAndMissingFolders) {
  Put("a/x", "x");
  fs::create_symlink("/etc/passwd", root_ / "a/out");
  EXPECT_THAT(ListFolders({Root("a")}).error().message,
              testing::HasSubstr("a link out of the folder"));
  fs::remove(root_ / "a/out");
  fs::create_symlink("../../x", root_ / "a/out");
  EXPECT_FALSE(ListFolders({Root("a")}));
  EXPECT_THAT(ListFolders({Root("none")}).error().message, testing::HasSubstr("no such folder"));
}

TEST_F(ZipFolderTest, ChangesItsFingerprintWithAnyFile) {
  Put("a/x", "x");
  const std::string before = ListFolders({Root("a")})->fingerprint;
  EXPECT_EQ(ListFolders({Root("a")})->fingerprint, before);
  Put("a/x", "y");
  chmod((root_ / "a/x").c_str(), 0755);
  EXPECT_NE(ListFolders({Root("a")})->fingerprint, before);
}

TEST(IgnoreRules, MatchesAsGitDoes) {
  struct Case {
    const char* pattern;
    const char* path;
    bool fits;
  };
  const Case cases[] = {
      {"*.py", "a.py", true},
      {"*.py", "a/b.py", false},
      {"a?c", "abc", true},
      {"a?c", "a/c", false},
      {"**/x", "x", true},
      {"**/x", "a/b/x", true},
      {"a/**", "a/b/c", true},
      {"a/**/c", "a/c", true},
      {"a/**/c", "a/b/b/c", true},
      {"a/**/c", "a/b/b/d", false},
      {"[a-c]x", "bx", true},
      {"[!a]x", "ax", false},
      {"[!a]x", "bx", true},
      {"[", "[", true},
      {"*a*b", "xxaxxb", true},
      {"*a*b", "xxaxx", false},
      {"", "", true},
      {"a", "", false},
  };
  for (const Case& c : cases) EXPECT_EQ(GlobMatch(c.pattern, c.path), c.fits) << c.pattern;
  const IgnoreRules rules("build/\n/top\ndocs/*.md\n\\#odd\n");
  EXPECT_TRUE(rules.Ignored("x/build", true));
  EXPECT_FALSE(rules.Ignored("x/build", false));
  EXPECT_TRUE(rules.Ignored("top", false));
  EXPECT_FALSE(rules.Ignored("x/top", false));
  EXPECT_TRUE(rules.Ignored("docs/a.md", false));
  EXPECT_FALSE(rules.Ignored("x/docs/a.md", false));
  EXPECT_TRUE(rules.Ignored("#odd", false));
}

}  // namespace
}  // namespace samovar
