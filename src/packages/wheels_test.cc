#include "packages/wheels.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace samovar {
namespace {

struct Case {
  std::vector<std::string> tags;
  std::optional<std::string> others;
};

TEST(Wheels, TagsFitThisMachineOrNameWhomTheyAreFor) {
  const Case cases[] = {
      {{}, std::nullopt},
      {{"py3-none-any"}, std::nullopt},
      {{"py2-none-any", "py3-none-any"}, std::nullopt},
      {{"cp311-cp311-manylinux_2_17_x86_64"}, std::nullopt},
      {{"cp311-cp311-manylinux2014_x86_64"}, std::nullopt},
      {{"cp311-cp311-linux_x86_64"}, std::nullopt},
      {{"cp38-abi3-manylinux_2_28_x86_64"}, std::nullopt},
      {{"cp311-cp311-manylinux_2_99_x86_64"}, std::nullopt},  // its files tell
      {{"cp312-abi3-manylinux_2_28_x86_64"}, "CPython 3.12"},
      {{"cp310-cp310-manylinux_2_17_x86_64"}, "CPython 3.10"},
      {{"cp313-cp313t-manylinux_2_17_x86_64"}, "CPython 3.13 without its lock (free-threaded)"},
      {{"cp311-cp311-manylinux2014_aarch64"}, "aarch64"},
      {{"cp311-cp311-musllinux_1_2_x86_64"}, "musl (Alpine Linux)"},
      {{"cp311-cp311-macosx_11_0_arm64"}, "macosx_11_0_arm64"},
      {{"cp311-cp311-macosx_11_0_arm64", "cp311-cp311-manylinux_2_17_x86_64"}, std::nullopt},
      {{"pp39-pypy39_pp73-manylinux_2_17_x86_64"}, "pp39"},
      {{"no tag at all"}, std::nullopt},
  };
  for (const auto& one : cases) {
    Wheel wheel;
    wheel.tags = one.tags;
    EXPECT_EQ(BuiltForOthers(wheel, 11, "x86_64"), one.others) << testing::PrintToString(one.tags);
  }
}

TEST(Wheels, ReadsTagsAndFilesAsInstalled) {
  std::string folder = (std::filesystem::temp_directory_path() / "wheels-test-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/WHEEL") << "Wheel-Version: 1.0\r\nTag: py2.py3-none-any\r\n";
  std::ofstream(folder + "/RECORD") << "a/b.py,sha256=x,1\n\"a/c,d.py\",,\n../bin/tool,,\n";
  const auto wheel = ReadWheel(folder, "/var/task/six-1.17.0.dist-info");
  std::filesystem::remove_all(folder);
  EXPECT_EQ(wheel.Title(), "six 1.17.0");
  EXPECT_THAT(wheel.tags, testing::ElementsAre("py2-none-any", "py3-none-any"));
  EXPECT_THAT(wheel.files,
              testing::ElementsAre("/var/task/a/b.py", "/var/task/a/c,d.py", "/var/bin/tool"));
}

}  // namespace
}  // namespace samovar
