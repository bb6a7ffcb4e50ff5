#include "sandbox/runtime_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace samovar {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Hosts made of scripts that answer as interpreters do.
class RuntimeCatalogTest : public testing::Test {
 protected:
  RuntimeCatalogTest() {
    char name[] = "/tmp/runtime_catalog_XXXXXX";
    root_ = ::mkdtemp(name);
    search_.home = (root_ / "home").string();
    search_.path = (root_ / "nothing").string();
  }
  ~RuntimeCatalogTest() override { fs::remove_all(root_); }

  fs::path Script(const std::string& path, const std::string& text) {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "#!/bin/sh\n" << text << "\n";
    fs::permissions(file, fs::perms::owner_all);
    return file;
  }
  // An interpreter at PREFIX/bin/pythonX.Y.
  fs::path Python(const std::string& prefix, const std::string& version,
                  const std::string& kind = "cpython") {
    const std::string minor = version.substr(0, version.rfind('.'));
    const std::string path = prefix + "/bin/python" + minor;
    return Script(path, "printf '%s\\n' " + version + " '" + (root_ / path).string() + "' '" +
                            (root_ / prefix).string() + "' " + kind);
  }
  RuntimeCatalog Discover() const { return RuntimeCatalog::Discover(search_); }
  // The first that was found under our root: the test's host has runtimes too.
  std::string VersionOf(const RuntimeCatalog& catalog, const std::string& name) const {
    auto found = catalog.Find(name);
    return found ? found->version : "none";
  }
  std::string ReasonFor(const RuntimeCatalog& catalog, const fs::path& path) const {
    for (const auto& entry : catalog.Unusable()) {
      if (entry.path == path) return entry.reason;
    }
    return "not listed";
  }

  fs::path root_;
  RuntimeSearch search_;
};

TEST_F(RuntimeCatalogTest, HasModelsWhereTheirWorkerIs) {
  EXPECT_FALSE(Discover().Find("onnx"));
  search_.runtimes_dir = (root_ / "runtimes").string();
  EXPECT_FALSE(Discover().Find("onnx"));
  const fs::path worker = Script("runtimes/onnx/samovar-onnx", "echo 1.32.0");
  const auto found = Discover().Find("onnx");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->kind, Runtime::Kind::kOnnx);
  EXPECT_EQ(found->version, "1.32.0");
  Script("runtimes/onnx/samovar-onnx", "exit 127");
  EXPECT_FALSE(Discover().Find("onnx"));
  EXPECT_NE(ReasonFor(Discover(), worker), "not listed");
}

TEST_F(RuntimeCatalogTest, FindsInterpretersInConfiguredFoldersOnPathAndInPyenv) {
  search_.python_paths = {(root_ / "opt/bin").string(), Python("single", "3.96.1").string()};
  Python("opt", "3.95.2");
  search_.path = (root_ / "one/bin").string() + ":" + (root_ / "two/bin").string();
  Python("one", "3.97.0");
  Python("two", "3.98.3");
  Python("home/.pyenv/versions/3.99.1", "3.99.1");
  const RuntimeCatalog catalog = Discover();
  for (const char* version : {"3.95.2", "3.96.1", "3.97.0", "3.98.3", "3.99.1"}) {
    const std::string name = "python" + std::string(version).substr(0, 4);
    EXPECT_EQ(VersionOf(catalog, name), version);
  }
}

TEST_F(RuntimeCatalogTest, TakesWhatStandsBehindShimsAndNeverTheShims) {
  search_.path = (root_ / "pyenv/shims").string();
  Script("pyenv/shims/python3.97", "touch " + (root_ / "ran").string() + "; exit 1");
  const fs::path real = Python("pyenv/versions/3.97.4", "3.97.4");
  const RuntimeCatalog catalog = Discover();
  auto found = catalog.Find("python3.97");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->interpreter, real);
  EXPECT_THAT(found->mounts, ElementsAre((root_ / "pyenv/versions/3.97.4").string()));
  EXPECT_FALSE(fs::exists(root_ / "ran"));
}

TEST_F(RuntimeCatalogTest, PrefersTheHighestPatchLevelThenTheFirstFound) {
  search_.path = (root_ / "old/bin").string() + ":" + (root_ / "new/bin").string() + ":" +
                 (root_ / "again/bin").string();
  Python("old", "3.97.9");
  Python("new", "3.97.10");
  Python("again", "3.97.10");
  auto found = Discover().Find("python3.97");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->version, "3.97.10");
  EXPECT_EQ(found->interpreter, (root_ / "new/bin/python3.97").string());
}

TEST_F(RuntimeCatalogTest, SaysWhyAnInterpreterIsOfNoUse) {
  search_.path = (root_ / "bin").string();
  const fs::path old = Script("bin/python3.8", "printf '3.8.1\\n/x\\n/x\\ncpython\\n'");
  const fs::path other = Script("bin/python3.97", "printf '3.97.1\\n/x\\n/x\\npypy\\n'");
  const fs::path broken = Script("bin/python3.96", "echo no library >&2; exit 127");
  const fs::path silent = Script("bin/python3.95", "exit 0");
  const fs::path node = Script("bin/node", "echo v18.19.0");
  const RuntimeCatalog catalog = Discover();
  EXPECT_EQ(ReasonFor(catalog, old), "Python 3.8.1 is older than 3.9");
  EXPECT_EQ(ReasonFor(catalog, other), "pypy is not CPython");
  EXPECT_THAT(ReasonFor(catalog, broken), HasSubstr("no library"));
  EXPECT_EQ(ReasonFor(catalog, silent), "it does not say its version");
  EXPECT_EQ(ReasonFor(catalog, node), "Node.js 18.19.0 is older than 20");
}

TEST_F(RuntimeCatalogTest, AsksEachInterpreterOnceWhateverItsNames) {
  search_.path = (root_ / "bin").string() + ":" + (root_ / "link").string();
  const fs::path real = Python("bin/..", "3.97.1");
  Script("bin/python3.97", "echo x >> " + (root_ / "asked").string() +
                               "; printf '3.97.1\\n/usr/bin/a\\n/usr\\ncpython\\n'");
  fs::create_symlink("python3.97", root_ / "bin/python3");
  fs::create_directory_symlink(root_ / "bin", root_ / "link");
  const RuntimeCatalog catalog = Discover();
  EXPECT_EQ(fs::file_size(root_ / "asked"), 2);
  auto found = catalog.Find("python3.97");
  ASSERT_TRUE(found);
  EXPECT_THAT(found->mounts, IsEmpty());  // all of /usr is in every sandbox
}

TEST_F(RuntimeCatalogTest, MountsANodeOfItsOwnFolderWholeAndAnotherAlone) {
  search_.path = (root_ / "own/bin").string() + ":" + (root_ / "person/bin").string();
  Script("own/bin/node", "echo v97.1.0");
  fs::create_directories(root_ / "own/include/node");
  Script("person/bin/node", "echo v98.1.0");
  Script("home/.nvm/versions/node/v99.0.1/bin/node", "echo v99.0.1");
  const RuntimeCatalog catalog = Discover();
  auto own = catalog.Find("nodejs97.x");
  auto person = catalog.Find("nodejs98.x");
  ASSERT_TRUE(own && person && catalog.Find("nodejs99.x"));
  EXPECT_THAT(own->mounts, ElementsAre((root_ / "own").string()));
  EXPECT_THAT(person->mounts, ElementsAre((root_ / "person/bin").string()));
}

TEST_F(RuntimeCatalogTest, NamesWhatIsMissingAndWhatIsThere) {
  search_.path = (root_ / "one/bin").string();
  Python("one", "3.97.0");
  auto found = Discover().Find("python3.42");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kInvalid);
  EXPECT_THAT(found.error().message, HasSubstr("python3.42"));
  EXPECT_THAT(found.error().message, HasSubstr("python3.97"));
  EXPECT_THAT(found.error().message, HasSubstr("provided.al2023"));
}

TEST_F(RuntimeCatalogTest, ListsByKindAndVersion) {
  search_.path = (root_ / "one/bin").string() + ":" + (root_ / "two/bin").string();
  Python("one", "3.100.0");
  Python("two", "3.97.0");
  std::vector<std::string> names;
  for (const Runtime& runtime : Discover().All()) names.push_back(runtime.name);
  const auto older = std::ranges::find(names, "python3.97");
  const auto newer = std::ranges::find(names, "python3.100");
  ASSERT_TRUE(older != names.end() && newer != names.end());
  EXPECT_LT(older, newer);
  EXPECT_THAT(names, Contains("provided"));
  EXPECT_EQ(names.back(), "provided.al2023");
}

TEST(CompareVersions, ComparesNumbersNotText) {
  EXPECT_LT(CompareVersions("3.9.18", "3.10.2"), 0);
  EXPECT_GT(CompareVersions("3.11.10", "3.11.9"), 0);
  EXPECT_EQ(CompareVersions("20.1.0", "20.1.0"), 0);
  EXPECT_LT(CompareVersions("20", "20.1"), 0);
}

}  // namespace
}  // namespace samovar
