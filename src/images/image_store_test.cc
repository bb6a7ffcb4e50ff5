#include "images/image_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "images/tar_for_tests.h"
#include "wire/sha256.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

struct TestImage {
  std::vector<std::string> tars;
  std::string configuration, manifest;

  explicit TestImage(std::vector<std::string> layers, std::string processor = "amd64")
      : tars(std::move(layers)) {
    std::string ids, list;
    for (const auto& tar : tars) {
      const auto digest = Sha256Hex(tar);
      ids += fmt::format("{}\"sha256:{}\"", ids.empty() ? "" : ",", digest);
      list += fmt::format("{}{{\"digest\":\"sha256:{}\"}}", list.empty() ? "" : ",", digest);
    }
    configuration = fmt::format(
        R"({{"architecture":"{}","os":"linux","config":{{"Entrypoint":["/run"],"Cmd":["x"],)"
        R"("Env":["A=1"],"WorkingDir":"/w","ExposedPorts":{{"8080/tcp":{{}}}}}},)"
        R"("rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
        processor, ids);
    manifest = fmt::format(R"({{"config":{{"digest":"sha256:{}"}},"layers":[{}]}})",
                           Sha256Hex(configuration), list);
  }
};

class ImageStoreTest : public testing::Test {
 protected:
  ImageStoreTest() {
    std::string path = testing::TempDir() + "samovar-images-XXXXXX";
    dir_ = mkdtemp(path.data());
    Reopen();
  }
  ~ImageStoreTest() override { fs::remove_all(dir_); }

  void Reopen() {
    auto store = OpenImageStore(dir_ + "/images", {.unpacker = SAMOVAR_LAYER_PROGRAM});
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  Result<void> Take(const std::string& tar) {
    std::ofstream(dir_ + "/upload", std::ios::binary) << tar;
    return store_->TakeLayer(Sha256Hex(tar), dir_ + "/upload");
  }
  ImagePtr Keep(const TestImage& image, const std::string& name) {
    for (const auto& tar : image.tars) EXPECT_TRUE(Take(tar));
    const auto named = store_->Name(name, image.manifest, image.configuration);
    EXPECT_TRUE(named) << named.error().message;
    return named->image;
  }
  // As if an hour had passed.
  void Age() {
    for (const auto* room : {"layers", "images"}) {
      for (const auto& entry : fs::directory_iterator(dir_ + "/images/" + room)) {
        fs::last_write_time(entry, fs::file_time_type::clock::now() - std::chrono::hours(2));
      }
    }
  }

  std::string dir_;
  std::unique_ptr<ImageStore> store_;
  const std::string below_ = MakeTar({{.name = "run", .text = "1"}});
  const std::string above_ = MakeTar({{.name = "more", .text = "2"}});
};

TEST_F(ImageStoreTest, SaysWhichLayersAreMissingAndThenKeepsTheImage) {
  const TestImage image({below_, above_});
  ASSERT_TRUE(Take(above_));
  auto named = store_->Name("shop", image.manifest, image.configuration);
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->missing, std::vector{Sha256Hex(below_)});
  EXPECT_FALSE(store_->Find("shop"));
  ASSERT_TRUE(Take(below_));
  named = store_->Name("shop", image.manifest, image.configuration);
  ASSERT_TRUE(named && named->missing.empty());
  Reopen();
  const auto found = store_->Find("shop:latest");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ((*found)->entrypoint, std::vector<std::string>{"/run"});
  EXPECT_EQ((*found)->command, std::vector<std::string>{"x"});
  EXPECT_EQ((*found)->environment, std::vector<std::string>{"A=1"});
  EXPECT_EQ((*found)->working_folder, "/w");
  EXPECT_EQ((*found)->ports, std::vector{8080});
  const auto folders = store_->Folders(**found);
  ASSERT_EQ(folders.size(), 2u);
  EXPECT_TRUE(fs::exists(folders[0] + "/run"));
  EXPECT_TRUE(fs::exists(folders[1] + "/more"));
  EXPECT_TRUE(store_->Find("elsewhere/shop@sha256:" + (*found)->digest));
}

TEST_F(ImageStoreTest, LaysARepeatedLayerOnceAndNothingBelowOneThatCoversAll) {
  const auto cover = MakeTar({{.name = ".wh..wh..opq"}, {.name = "c", .text = "3"}});
  const auto image = Keep(TestImage({below_, cover, above_, cover}), "a");
  const auto folders = store_->Folders(*image);
  ASSERT_EQ(folders.size(), 1u);
  EXPECT_TRUE(fs::exists(folders[0] + "/c"));
  const auto again = Keep(TestImage({below_, above_, below_}), "b");
  EXPECT_EQ(store_->Folders(*again).size(), 2u);
}

TEST_F(ImageStoreTest, KeepsNothingOfALayerThatIsRefused) {
  std::ofstream(dir_ + "/upload", std::ios::binary) << below_;
  EXPECT_FALSE(store_->TakeLayer(Sha256Hex(above_), dir_ + "/upload"));
  EXPECT_FALSE(store_->HasLayer(Sha256Hex(above_)));
  EXPECT_TRUE(fs::is_empty(dir_ + "/images/staging"));
  EXPECT_TRUE(fs::is_empty(dir_ + "/images/layers"));
}

TEST_F(ImageStoreTest, RemovesWhatNothingUsesAndSharesTheRest) {
  const auto first = Keep(TestImage({below_}), "first");
  const auto second = Keep(TestImage({below_, above_}), "second");
  ASSERT_TRUE(store_->Forget("second"));
  EXPECT_EQ(store_->Forget("second").error().code, Code::kNotFound);
  ASSERT_TRUE(store_->Collect({}));
  EXPECT_TRUE(store_->Find("sha256:" + second->digest));  // too young to go
  Age();
  ASSERT_TRUE(store_->Collect({second->digest}));
  EXPECT_TRUE(store_->Find("sha256:" + second->digest));  // used
  ASSERT_TRUE(store_->Collect({}));
  EXPECT_FALSE(store_->Find("sha256:" + second->digest));
  EXPECT_FALSE(store_->HasLayer(Sha256Hex(above_)));
  EXPECT_TRUE(store_->HasLayer(Sha256Hex(below_)));
  Reopen();
  EXPECT_EQ(store_->List().size(), 1u);
}

TEST_F(ImageStoreTest, RefusesDocumentsByTheirField) {
  const TestImage good({below_});
  const TestImage other({above_});
  const TestImage arm({below_}, "arm64");
  const std::tuple<std::string, std::string, const char*> cases[] = {
      {"{", good.configuration, "the manifest is no JSON object"},
      {good.manifest, "[]", "the configuration is no JSON object"},
      {good.manifest, other.configuration, "config.digest"},
      {arm.manifest, arm.configuration, "the image is for linux/arm64"},
      {good.manifest, R"({"os":"linux","architecture":"amd64"})", "rootfs.diff_ids"},
  };
  for (const auto& [manifest, configuration, why] : cases) {
    const auto named = store_->Name("a", manifest, configuration);
    ASSERT_FALSE(named);
    EXPECT_EQ(named.error().code, Code::kInvalid);
    EXPECT_NE(named.error().message.find(why), std::string::npos) << named.error().message;
  }
  for (const auto* name : {"", "a b", "-a", "a:", "a:b:c", "a//b", "../a", "a@b"}) {
    EXPECT_FALSE(FullImageName(name)) << name;
  }
  EXPECT_EQ(FullImageName("localhost:5000/team/shop:1").value(), "localhost:5000/team/shop:1");
  EXPECT_EQ(FullImageName("team/shop").value(), "team/shop:latest");
}

}  // namespace
}  // namespace samovar
