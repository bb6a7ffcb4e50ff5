#include "store/package_store.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "store/zip_check.h"
#include "store/zip_for_tests.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

class PackageStoreTest : public testing::Test {
 protected:
  PackageStoreTest() {
    std::string path = testing::TempDir() + "samovar-packages-XXXXXX";
    dir_ = mkdtemp(path.data());
    Reopen();
  }
  ~PackageStoreTest() override { fs::remove_all(dir_); }

  void Reopen(PackageOptions options = {}) {
    auto store = OpenPackageStore(dir_, options);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  Result<PackageInfo> Import(const std::string& bytes) {
    auto staged = store_->NewStagingFile();
    EXPECT_TRUE(staged);
    std::ofstream(*staged, std::ios::binary) << bytes;
    auto info = store_->Import(*staged);
    if (!info) store_->Discard(*staged);
    return info;
  }
  // Message of the error that unpacking this gives, or "" where it works.
  std::string UnpackError(const std::string& bytes) {
    auto info = Import(bytes);
    if (!info) return info.error().message;
    auto tree = store_->Unpack(info->hash);
    return tree ? "" : tree.error().message;
  }
  std::string Unpacked(const std::string& bytes) {
    auto info = Import(bytes);
    EXPECT_TRUE(info) << info.error().message;
    auto tree = store_->Unpack(info->hash);
    EXPECT_TRUE(tree) << tree.error().message;
    return *tree;
  }
  std::size_t Staged() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir_ + "/staging"), fs::directory_iterator()));
  }
  void Age(const std::string& hash) {
    const timespec old{time(nullptr) - 2 * 3600, 0};
    const timespec times[2] = {old, old};
    ASSERT_EQ(utimensat(AT_FDCWD, store_->BlobPath(hash).c_str(), times, 0), 0);
  }

  std::string dir_;
  std::unique_ptr<PackageStore> store_;
};

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

mode_t ModeOf(const std::string& path) {
  struct stat about{};
  EXPECT_EQ(lstat(path.c_str(), &about), 0) << path;
  return about.st_mode & 07777;
}

TEST_F(PackageStoreTest, KeepsAPackageOnceUnderItsHash) {
  const auto zip = ZipForTests().Add("app.py", "print(1)").Bytes();
  const auto first = Import(zip);
  const auto second = Import(zip);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->hash, second->hash);
  EXPECT_EQ(first->hash.size(), 64u);
  EXPECT_EQ(first->sha256_b64.size(), 44u);
  EXPECT_EQ(first->size.count, zip.size());
  EXPECT_EQ(ReadFile(store_->BlobPath(first->hash)), zip);
  EXPECT_EQ(store_->Find(first->hash)->size.count, zip.size());
  EXPECT_EQ(Staged(), 0u);
}

TEST_F(PackageStoreTest, FindsNothingUnderHashesItDoesNotHave) {
  for (const auto& hash : {std::string(64, 'a'), std::string("../blobs/x"), std::string()}) {
    const auto found = store_->Find(hash);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Code::kNotFound);
  }
}

TEST_F(PackageStoreTest, ImportsNothingButItsOwnStagingFiles) {
  const auto outside = dir_ + "/precious.zip";
  std::ofstream(outside) << ZipForTests().Add("a", "b").Bytes();
  EXPECT_FALSE(store_->Import(outside));
  EXPECT_FALSE(store_->Import(dir_ + "/staging/../precious.zip"));
  store_->Discard(outside);
  store_->Discard(dir_ + "/staging/../precious.zip");
  EXPECT_TRUE(fs::exists(outside));
}

TEST_F(PackageStoreTest, UnpacksFilesThatAllMayReadAndKeepsTheRunBit) {
  umask(077);
  const auto tree = Unpacked(ZipForTests()
                                 .Add("bootstrap", "#!/bin/sh\n", 0100700)
                                 .Add("lib/deep/mod.py", "x = 1", 0100600)
                                 .Add("setuid", "s", 0106755)
                                 .Add("empty/", "", 040700)
                                 .Add("fünf.txt", "5")
                                 .Link("lib/link.py", "deep/mod.py")
                                 .Bytes());
  umask(022);
  EXPECT_EQ(ReadFile(tree + "/lib/deep/mod.py"), "x = 1");
  EXPECT_EQ(ReadFile(tree + "/lib/link.py"), "x = 1");
  EXPECT_EQ(ReadFile(tree + "/fünf.txt"), "5");
  EXPECT_EQ(fs::read_symlink(tree + "/lib/link.py"), "deep/mod.py");
  const std::pair<const char*, mode_t> modes[] = {
      {"", 0755},          {"/bootstrap", 0755},       {"/lib", 0755},
      {"/lib/deep", 0755}, {"/lib/deep/mod.py", 0644}, {"/setuid", 0755},
      {"/empty", 0755}};
  for (const auto& [path, mode] : modes) EXPECT_EQ(ModeOf(tree + path), mode) << path;
}

TEST_F(PackageStoreTest, KeepsModificationTimes) {
  const auto tree = Unpacked(ZipForTests().Add("mod.py", "").Bytes());
  struct stat about{};
  ASSERT_EQ(stat((tree + "/mod.py").c_str(), &about), 0);
  EXPECT_LT(about.st_mtim.tv_sec, time(nullptr) - 24 * 3600);
}

TEST_F(PackageStoreTest, RefusesEntriesThatLeaveTheTreeByName) {
  const struct {
    const char* why;
    ZipForTests zip;
    const char* message;
  } cases[] = {
      {"parent", ZipForTests().Add("../evil", "x"), "'../evil'"},
      {"parent inside", ZipForTests().Add("a/../../evil", "x"), "leaves the package"},
      {"absolute", ZipForTests().Add("/etc/evil", "x"), "absolute"},
      {"absolute link", ZipForTests().Link("l", "/etc/passwd"), "symlink that leaves"},
      {"link out", ZipForTests().Link("a/l", "../../x"), "symlink that leaves"},
      {"chain out",
       ZipForTests().Link("here", ".").Link("out", "here/../secret").Link("x", "out/y"),
       "symlink that leaves"},
      {"through a link", ZipForTests().Link("d", "e").Add("d/f", "x"), "twice"},
      {"under a file", ZipForTests().Add("d", "x").Add("d/f", "x"), "lies under a file"},
      {"twice", ZipForTests().Add("f", "1").Add("f", "2"), "'f' is in the package twice"},
      {"twice, another spelling", ZipForTests().Add("d/f", "1").Add("d/./f", "2"), "twice"},
      {"device", ZipForTests().Add("dev", "", 020666), "neither a file"},
      {"socket", ZipForTests().Add("sock", "", 0140666), "neither a file"},
      {"long name", ZipForTests().Add(std::string(300, 'n'), "x"), "too long a name"},
      {"long path", ZipForTests().Add(std::string(5000, '/') + "x", "x"), "too long a path"},
      {"damaged", ZipForTests().Add({"f", "data", 0100644, 1}), "'f' is damaged"},
      {"encrypted", ZipForTests().Add({"f", std::string(40, 'x'), 0100644, 0, 0x0801}), ""},
  };
  for (const auto& [why, zip, message] : cases) {
    const auto error = UnpackError(zip.Bytes());
    EXPECT_NE(error, "") << why;
    EXPECT_NE(error.find(message), std::string::npos) << why << ": " << error;
    EXPECT_EQ(Staged(), 0u) << why;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_ + "/trees"), fs::directory_iterator()), 0);
}

TEST_F(PackageStoreTest, RefusesWhatIsNoWholeZip) {
  const auto good = ZipForTests().Add("a.py", std::string(1000, 'a')).Add("b.py", "b").Bytes();
  const std::string_view could_not =
      "Could not unzip uploaded file. Please check your file, then "
      "try to upload again.";
  for (std::size_t size = 0; size < good.size(); size += 7) {
    const auto info = Import(good.substr(0, size));
    ASSERT_FALSE(info) << size;
    EXPECT_EQ(info.error().message, could_not);
    EXPECT_EQ(info.error().name, "InvalidParameterValueException");
  }
  EXPECT_FALSE(Import("this is no zip"));
  EXPECT_FALSE(Import(std::string(100'000, 'x')));
  EXPECT_EQ(Import(ZipForTests().Bytes()).error().message, "Uploaded file must be a non-empty zip");
  EXPECT_EQ(Staged(), 0u);
  EXPECT_TRUE(Import("#!/bin/sh in front\n" + good));
}

// Every byte of a small zip turned over: refused or unpacked, never a crash or a half tree.
TEST_F(PackageStoreTest, SurvivesAnyDamagedByte) {
  const auto good = ZipForTests().Add("a.py", "a = 1").Link("l", "a.py").Bytes();
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int flip : {0xFF}) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      refused += UnpackError(bad).empty() ? 0 : 1;
      ASSERT_EQ(Staged(), 0u) << at;
    }
  }
  EXPECT_GT(refused, 50);
}

// 64 MiB of zeros, deflated.
std::string Bomb() {
  std::string out(1 << 20, '\0');
  std::size_t used = 0;
  archive* zip = archive_write_new();
  archive_write_set_format_zip(zip);
  archive_write_open_memory(zip, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "zeros");
  archive_entry_set_size(entry, 64 << 20);
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(zip, entry);
  const std::string block(1 << 20, '\0');
  for (int i = 0; i < 64; ++i) archive_write_data(zip, block.data(), block.size());
  archive_entry_free(entry);
  archive_write_close(zip);
  archive_write_free(zip);
  out.resize(used);
  return out;
}

// The same, whose directory speaks of 1,000 bytes.
std::string UnderstatedBomb() {
  auto zip = Bomb();
  zip.replace(zip.rfind("PK\1\2") + 24, 4, std::string("\xE8\3\0\0", 4));
  return zip;
}

TEST_F(PackageStoreTest, StopsAtTheBounds) {
  Reopen({.max_zip = Bytes::MiB(1), .max_unpacked = Bytes::MiB(8), .max_files = 10});
  const auto told = Import(Bomb());
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, Code::kTooLarge);
  EXPECT_EQ(told.error().message, "Unzipped size must be smaller than 8388608 bytes");
  const auto bomb = Import(UnderstatedBomb());
  ASSERT_TRUE(bomb) << bomb.error().message;
  const auto exploded = store_->Unpack(bomb->hash);
  ASSERT_FALSE(exploded);

  ZipForTests many;
  for (int i = 0; i < 11; ++i) many.Add("f" + std::to_string(i), "");
  EXPECT_EQ(UnpackError(many.Bytes()), "The package has more than 10 files.");
  EXPECT_NE(UnpackError(ZipForTests().Add("1/2/3/4/5/6/7/8/9/10/11/f", "").Bytes()), "");

  const auto large = Import(ZipForTests().Add("f", std::string(2 << 20, 'x')).Bytes());
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Code::kTooLarge);
  EXPECT_EQ(Staged(), 0u);
}

// A zip with more entries than its first form can count: the 64-bit records tell.
std::string Many(int count) {
  std::string out(32 << 20, '\0');
  std::size_t used = 0;
  archive* zip = archive_write_new();
  archive_write_set_format_zip(zip);
  archive_write_set_options(zip, "compression=store");
  archive_write_open_memory(zip, out.data(), out.size(), &used);
  for (int i = 0; i < count; ++i) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, ("f" + std::to_string(i)).c_str());
    archive_entry_set_size(entry, 0);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(zip, entry);
    archive_entry_free(entry);
  }
  archive_write_close(zip);
  archive_write_free(zip);
  out.resize(used);
  return out;
}

TEST_F(PackageStoreTest, CountsPastSixteenBits) {
  const auto bytes = Many(65'600);
  const auto info = Import(bytes);
  ASSERT_TRUE(info) << info.error().message;
  Reopen({.max_files = 65'599});
  const auto refused = Import(bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "The package has more than 65599 files.");
}

// As Python's zipfile writes archives above 2 GiB: both records, the first with real numbers.
TEST_F(PackageStoreTest, TakesSixtyFourBitRecordsWhereTheyWereNotNeeded) {
  auto bytes = ZipForTests().Add("a.py", "a = 1").Bytes();
  const auto end = bytes.substr(bytes.size() - 22);
  const auto number = [](std::uint64_t value, int size) {
    std::string text;
    for (int i = 0; i < size; ++i) text += static_cast<char>(value >> (8 * i));
    return text;
  };
  const auto record = bytes.size() - 22;
  bytes.resize(record);
  bytes += "PK\6\6" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) + number(1, 8) +
           number(1, 8) + number(50, 8) + number(record - 50, 8) + "PK\6\7" + number(0, 4) +
           number(record, 8) + number(1, 4) + end;
  EXPECT_EQ(ReadFile(Unpacked(bytes) + "/a.py"), "a = 1");
}

TEST_F(PackageStoreTest, UnpacksOnceForManyWhoAsk) {
  ZipForTests zip;
  for (int i = 0; i < 200; ++i) zip.Add("f" + std::to_string(i), "x");
  const auto info = Import(zip.Bytes());
  ASSERT_TRUE(info);
  std::vector<std::thread> askers;
  std::vector<std::string> trees(8);
  for (auto& tree : trees) {
    askers.emplace_back([&] { tree = store_->Unpack(info->hash).value_or("failed"); });
  }
  for (auto& asker : askers) asker.join();
  for (const auto& tree : trees) EXPECT_EQ(tree, dir_ + "/trees/" + info->hash);
  EXPECT_EQ(Staged(), 0u);
}

TEST_F(PackageStoreTest, EmptiesStagingAtOpenAndKeepsTheRest) {
  const auto tree = Unpacked(ZipForTests().Add("a", "1").Bytes());
  ASSERT_TRUE(store_->NewStagingFile());
  fs::create_directories(dir_ + "/staging/tree-half/x");
  Reopen();
  EXPECT_EQ(Staged(), 0u);
  EXPECT_EQ(ReadFile(tree + "/a"), "1");
}

TEST_F(PackageStoreTest, CollectsWhatIsUnusedAndOld) {
  const auto used = Import(ZipForTests().Add("a", "used").Bytes());
  const auto fresh = Import(ZipForTests().Add("a", "fresh").Bytes());
  const auto old = Import(ZipForTests().Add("a", "old").Bytes());
  const auto asked = Import(ZipForTests().Add("a", "asked").Bytes());
  ASSERT_TRUE(store_->Unpack(old->hash));
  Age(used->hash);
  Age(old->hash);
  Age(asked->hash);
  ASSERT_TRUE(store_->Find(asked->hash));  // someone is about to use it
  ASSERT_TRUE(store_->Collect({used->hash}));
  EXPECT_TRUE(store_->Find(used->hash));
  EXPECT_TRUE(store_->Find(fresh->hash));
  EXPECT_TRUE(store_->Find(asked->hash));
  EXPECT_FALSE(store_->Find(old->hash));
  EXPECT_FALSE(fs::exists(dir_ + "/trees/" + old->hash));
  EXPECT_EQ(Staged(), 0u);
}

}  // namespace
}  // namespace samovar
