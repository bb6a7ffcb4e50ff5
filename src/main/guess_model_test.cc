// A function out of a model file: its name, memory and companions, and what is no model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "main/guess.h"
#include "main/model_export.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A length-delimited field of a protocol buffer, of fewer than 128 bytes.
std::string Field(int number, const std::string& bytes) {
  const auto tag = static_cast<unsigned>(number << 3 | 2);
  std::string out;
  if (tag >= 128) out += static_cast<char>((tag & 127) | 128);
  out += static_cast<char>(tag >= 128 ? tag >> 7 : tag);
  return out + static_cast<char>(bytes.size()) + bytes;
}

// A model whose only tensor lies in that file, or that has no tensor.
std::string Model(const std::string& data_file = "") {
  std::string graph = Field(2, "g");
  if (!data_file.empty()) {
    const std::string external = Field(13, Field(1, "location") + Field(2, data_file));
    graph += Field(5, Field(8, "w") + external + "\x70\x01");  // data_location: EXTERNAL
  }
  return Field(7, graph);
}

class GuessModelTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "samovar-model-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string Put(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
    return root_ / name;
  }
  std::string Text(const Guess& guess, const char* name) {
    const auto* value = guess.function.configuration.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  }

  fs::path root_;
};

TEST_F(GuessModelTest, TakesNameAndHandlerFromTheFile) {
  const auto guess = GuessFunction({.folder = Put("my forecast.v2.onnx", Model())});
  ASSERT_TRUE(guess) << guess.error().message;
  EXPECT_EQ(guess->function.name, "my-forecast-v2");
  EXPECT_EQ(Text(*guess, "Runtime"), "onnx");
  EXPECT_EQ(Text(*guess, "Handler"), "my forecast.v2.onnx");
  EXPECT_EQ(guess->function.code.path, "my forecast.v2.onnx");
  EXPECT_EQ(guess->function.configuration.at("MemorySize"), 1769);
}

TEST_F(GuessModelTest, LeavesTheMemoryOfAFunctionThatIsThereAsItIs) {
  const GuessInput input{.folder = Put("m.onnx", Model()),
                         .name = "there",
                         .exists = [](const std::string& name) { return name == "there"; }};
  const auto guess = GuessFunction(input);
  ASSERT_TRUE(guess) << guess.error().message;
  EXPECT_FALSE(guess->function.configuration.contains("MemorySize"));
}

TEST_F(GuessModelTest, MemoryGrowsWithTheFilesWithinLambdasBounds) {
  EXPECT_EQ(ModelMemory(0), 1769U);
  EXPECT_EQ(ModelMemory(std::uint64_t{1} << 30), 4352U);
  EXPECT_EQ(ModelMemory(std::uint64_t{1} << 40), 10240U);
}

TEST_F(GuessModelTest, AFolderThatHoldsAModelIsAFunctionOfIt) {
  Put("model.onnx", Model());
  const auto guess = GuessFunction({.folder = root_, .name = "f"});
  ASSERT_TRUE(guess) << guess.error().message;
  EXPECT_EQ(Text(*guess, "Runtime"), "onnx");
  EXPECT_EQ(Text(*guess, "Handler"), "model.onnx");
  EXPECT_EQ(guess->function.code.path, ".");
  EXPECT_EQ(guess->function.configuration.at("MemorySize"), 1769);
}

TEST_F(GuessModelTest, FindsTheFilesThatBelongToAModel) {
  const std::string plain = Put("plain/m.onnx", Model());
  EXPECT_THAT(ModelCompanions(plain).value(), IsEmpty());
  Put("plain/other.data", "x");
  Put("plain/samovar.yaml", "threads: 2\n");
  EXPECT_THAT(ModelCompanions(plain).value(), ElementsAre("samovar.yaml"));
  const std::string large = Put("large/m.onnx", Model("weights/w.bin"));
  Put("large/weights/w.bin", "0123");
  EXPECT_THAT(ModelCompanions(large).value(), ElementsAre("weights/w.bin"));
}

TEST_F(GuessModelTest, SaysWhatIsWrongWithAModelAndWhatToDo) {
  Put("outside.bin", "0123");
  struct Case {
    std::string file;
    const char* message;
  };
  const Case cases[] = {
      {Put("a/text.onnx", "this is a text, not a model\n"), "text.onnx: "},
      {Put("a/few.onnx", "\x08\x08"), "no ONNX model"},  // bytes that read as a field
      {Put("a/empty.onnx", ""), "it is empty"},
      {Put("a/cut.onnx", Model().substr(0, 4)), "cut.onnx: "},
      {Put("a/absent.onnx", Model("w.bin")), "\"w.bin\", which is not in the package"},
      {Put("a/out.onnx", Model("../outside.bin")), "outside the package"},
  };
  for (const Case& c : cases) {
    const auto guess = GuessFunction({.folder = c.file, .name = "f"});
    ASSERT_FALSE(guess) << c.file;
    EXPECT_EQ(guess.error().code, Code::kInvalid);
    EXPECT_THAT(guess.error().message, HasSubstr(c.message));
    EXPECT_THAT(guess.error().message, HasSubstr("docs/export.md"));
  }
}

TEST_F(GuessModelTest, AModelHasOneRuntimeAndNoHandler) {
  const std::string file = Put("m.onnx", Model());
  EXPECT_THAT(GuessFunction({.folder = file, .runtime = "python3.11"}).error().message,
              HasSubstr("its runtime is onnx, not python3.11"));
  EXPECT_THAT(GuessFunction({.folder = file, .handler = "app.handler"}).error().message,
              HasSubstr("it has no handler"));
}

TEST_F(GuessModelTest, AnExportIsRefusedBeforeAnythingIsInstalled) {
  const Terminal terminal = Terminal::Of(2);
  const SystemClock clock;
  const std::string source = Put("m.joblib", "no model");
  const auto refusal = [&](ModelExport asked) {
    asked.cache = root_ / "cache";
    const auto exported = ExportModel(asked, terminal, clock);
    return exported ? std::string("it was exported") : exported.error().message;
  };
  const std::string target = root_ / "m.onnx";
  EXPECT_THAT(refusal({.source = root_ / "absent.joblib", .target = target}),
              HasSubstr("absent.joblib: no such file"));
  EXPECT_THAT(refusal({.source = source, .target = target, .rows = root_ / "rows.csv"}),
              HasSubstr("rows.csv: no such file"));
  EXPECT_THAT(refusal({.source = source, .target = root_ / "nowhere/m.onnx"}),
              HasSubstr("nowhere"));
  EXPECT_THAT(refusal({.source = source, .target = root_}), HasSubstr("that is a folder"));
  EXPECT_THAT(refusal({.source = source, .target = target}),
              HasSubstr("holds no scikit-learn model"));
  EXPECT_FALSE(fs::exists(target));
}

}  // namespace
}  // namespace samovar
