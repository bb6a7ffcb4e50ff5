#include "images/layer_unpack.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "images/tar_for_tests.h"
#include "os/fd.h"
#include "wire/sha256.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

class LayerUnpackTest : public testing::Test {
 protected:
  LayerUnpackTest() {
    std::string path = testing::TempDir() + "samovar-layer-XXXXXX";
    top_ = mkdtemp(path.data());
    fs::create_directory(top_ / "tree");
  }
  ~LayerUnpackTest() override { fs::remove_all(top_); }

  Result<UnpackedLayer> UnpackBytes(const std::string& bytes, const std::string& digest) {
    std::ofstream(top_ / "layer", std::ios::binary) << bytes;
    const Fd layer(::open((top_ / "layer").c_str(), O_RDONLY));
    const Fd folder(::open(At("").c_str(), O_RDONLY | O_DIRECTORY));
    return UnpackLayer(layer.Get(), folder.Get(), digest, bounds_);
  }
  Result<UnpackedLayer> Unpack(const std::vector<TarEntry>& entries) {
    const auto tar = MakeTar(entries);
    return UnpackBytes(tar, Sha256Hex(tar));
  }
  std::string Refusal(const std::vector<TarEntry>& entries) {
    const auto done = Unpack(entries);
    return done ? "taken" : done.error().message;
  }
  fs::path At(const std::string& name) const { return top_ / "tree" / name; }
  std::string Text(const std::string& name) const {
    std::ifstream in(At(name), std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  bool IsWhiteout(const std::string& name) const {
    struct stat status{};
    return ::lstat(At(name).c_str(), &status) == 0 && S_ISCHR(status.st_mode) &&
           status.st_rdev == 0;
  }
  bool IsOpaque(const std::string& name) const {
    char value = 0;
    return ::getxattr(At(name).c_str(), "user.overlay.opaque", &value, 1) == 1 && value == 'y';
  }

  fs::path top_;
  LayerBounds bounds_;
};

TEST_F(LayerUnpackTest, TakesFilesFoldersAndLinks) {
  const auto done = Unpack({{.name = "usr/", .type = AE_IFDIR},
                            {.name = "usr/bin/run", .text = "#!", .mode = 04750},
                            {.name = "./usr/data", .text = "abc", .mode = 0600},
                            {.name = "bin", .text = "/usr/bin", .type = AE_IFLNK},
                            {.name = "usr/same", .text = "usr/data", .hard_link = true}});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->size.count, 5u);
  EXPECT_FALSE(done->covers_all);
  EXPECT_EQ(Text("usr/same"), "abc");
  EXPECT_EQ(fs::read_symlink(At("bin")), "/usr/bin");
  struct stat status{};
  ::stat(At("usr/bin/run").c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, 0755u);  // no set-id bit, and readable
  ::stat(At("usr/data").c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, 0644u);
  EXPECT_EQ(status.st_mtime, 1'700'000'000);
  EXPECT_EQ(status.st_nlink, 2u);
}

TEST_F(LayerUnpackTest, ReadsGzipAndHashesWhatIsInside) {
  const std::vector<TarEntry> entries{{.name = "a", .text = std::string(100'000, 'x')}};
  const auto done = UnpackBytes(MakeTar(entries, true), Sha256Hex(MakeTar(entries)));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(Text("a").size(), 100'000u);
}

TEST_F(LayerUnpackTest, TurnsWhiteoutsIntoThoseOfOverlayfs) {
  const auto done = Unpack({{.name = "etc/.wh.motd"},
                            {.name = "var/.wh..wh..opq"},
                            {.name = "var/new", .text = "1"},
                            {.name = ".wh.old"},
                            {.name = "old/again", .text = "2"},
                            {.name = "kept", .text = "3"},
                            {.name = ".wh.kept"},
                            {.name = ".wh..wh.plnk"}});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(IsWhiteout("etc/motd"));
  EXPECT_TRUE(IsOpaque("var"));
  EXPECT_EQ(Text("var/new"), "1");
  EXPECT_TRUE(IsOpaque("old"));  // removed below, and there again
  EXPECT_EQ(Text("old/again"), "2");
  EXPECT_EQ(Text("kept"), "3");
  EXPECT_FALSE(fs::exists(At(".wh..wh.plnk")));
}

TEST_F(LayerUnpackTest, TakesWhiteoutsBelowWhatReplacedTheirFolder) {
  const auto done = Unpack({{.name = "dev", .text = "/etc", .type = AE_IFLNK},
                            {.name = "dev/.wh.console"},
                            {.name = "dev/.wh..wh..opq"},
                            {.name = "data", .text = "1"},
                            {.name = "data/old/.wh.file"},
                            {.name = ".wh.gone"},
                            {.name = "gone/.wh.file"},
                            {.name = "etc/", .type = AE_IFDIR}});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(fs::read_symlink(At("dev")), "/etc");
  EXPECT_TRUE(fs::is_empty(At("etc")));
  EXPECT_EQ(Text("data"), "1");
  EXPECT_TRUE(IsWhiteout("gone"));
}

TEST_F(LayerUnpackTest, KnowsALayerThatCoversAllBelow) {
  const auto done = Unpack({{.name = ".wh..wh..opq"}, {.name = "a", .text = "1"}});
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->covers_all);
}

TEST_F(LayerUnpackTest, StaysInsideWhateverLinksSay) {
  const auto outside = top_ / "outside";
  fs::create_directory(outside);
  const auto done = Unpack({{.name = "out", .text = outside.string(), .type = AE_IFLNK},
                            {.name = "up", .text = "../../..", .type = AE_IFLNK},
                            {.name = "up/caught", .text = "1"},
                            {.name = "data/", .type = AE_IFDIR},
                            {.name = "to", .text = "/data", .type = AE_IFLNK},
                            {.name = "to/file", .text = "2"}});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(Text("caught"), "1");
  EXPECT_EQ(Text("data/file"), "2");
  EXPECT_TRUE(fs::is_empty(outside));
  EXPECT_NE(Refusal({{.name = "out/file", .text = "3"}}).find("lies under what is no folder"),
            std::string::npos);
  EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(LayerUnpackTest, RefusesByName) {
  const std::pair<TarEntry, const char*> cases[] = {
      {{.name = "a/../../b"}, "'a/../../b' leaves the image"},
      {{.name = "x/disk", .type = AE_IFBLK}, "'x/disk' is neither a file"},
      {{.name = "pipe", .type = AE_IFIFO}, "'pipe' is neither a file"},
      {{.name = "link", .text = "etc/shadow", .hard_link = true}, "'link' is a hard link to"},
      {{.name = "link", .text = "../../etc/shadow", .hard_link = true}, "leaves the image"},
      {{.name = ".wh..."}, "'.wh...' removes nothing"},
  };
  for (const auto& [entry, why] : cases) {
    EXPECT_NE(Refusal({entry}).find(why), std::string::npos) << Refusal({entry});
  }
}

TEST_F(LayerUnpackTest, LeavesTheNodesOfDevOut) {
  ASSERT_TRUE(Unpack({{.name = "dev/null", .type = AE_IFCHR}}));
  EXPECT_FALSE(fs::exists(At("dev/null")));
}

TEST_F(LayerUnpackTest, LaterEntriesOfANameWin) {
  ASSERT_TRUE(Unpack({{.name = "a", .text = "1"}, {.name = "a", .text = "22"}}));
  EXPECT_EQ(Text("a"), "22");
}

TEST_F(LayerUnpackTest, RefusesAnotherDigest) {
  const auto done = UnpackBytes(MakeTar({{.name = "a"}}), std::string(64, '0'));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kInvalid);
  EXPECT_NE(done.error().message.find("digest"), std::string::npos);
}

TEST_F(LayerUnpackTest, RefusesDamage) {
  const auto tar = MakeTar({{.name = "a", .text = std::string(50'000, 'x')}});
  for (const auto& bytes : {std::string("no tar at all, but some text"), tar.substr(0, 20'000),
                            MakeTar({{.name = "a", .text = tar}}, true).substr(0, 100)}) {
    const auto done = UnpackBytes(bytes, Sha256Hex(bytes));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::kInvalid) << done.error().message;
  }
}

TEST_F(LayerUnpackTest, StopsBombs) {
  bounds_.max_unpacked = Bytes::KiB(64);
  bounds_.max_files = 3;
  const std::vector<TarEntry> large{{.name = "a", .text = std::string(1 << 20, '\0')}};
  const auto bomb = UnpackBytes(MakeTar(large, true), Sha256Hex(MakeTar(large)));
  ASSERT_FALSE(bomb);
  EXPECT_EQ(bomb.error().code, Code::kTooLarge);
  const auto many = Unpack({{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}});
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace samovar
