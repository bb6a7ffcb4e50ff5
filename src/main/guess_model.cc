// A function out of a model file.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "main/guess.h"
#include "models/model_file.h"
#include "sandbox/cpu_share.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
// One whole CPU. What counts on the server is what is used, so room that stays empty costs nothing.
constexpr std::uint64_t kLeastMemory = kMemoryOfOneCpu.WholeMiB();
constexpr std::uint64_t kMostMemory = 10240;

}  // namespace

bool IsModelFile(const std::string& path) {
  std::error_code error;
  return fs::path(path).extension() == ".onnx" && fs::is_regular_file(path, error);
}

Result<std::vector<std::string>> ModelCompanions(const std::string& model_file) {
  const fs::path folder = fs::absolute(model_file).parent_path();
  const auto data = ModelDataFiles(fs::absolute(model_file), folder);
  if (!data) {
    return Fail(Code::kInvalid,
                fmt::format("{}\nIt must be an ONNX model, with its data files beside it; "
                            "docs/export.md says how to make one.",
                            data.error().message));
  }
  std::vector<std::string> companions(data->begin(), data->end());
  std::error_code error;
  if (fs::is_regular_file(folder / "samovar.yaml", error)) companions.emplace_back("samovar.yaml");
  std::ranges::sort(companions);
  return companions;
}

std::uint64_t ModelMemory(std::uint64_t bytes) {
  // ONNX Runtime itself, and the weights in the file's form and in its own.
  const std::uint64_t wanted = 256 + 4 * (bytes / kMiB);
  return std::clamp<std::uint64_t>((wanted + 63) / 64 * 64, kLeastMemory, kMostMemory);
}

Result<void> GuessMemory(const GuessInput& input, const std::string& model_file, Guess& guess) {
  const fs::path file(model_file);
  TRY(const auto companions, ModelCompanions(model_file));
  std::error_code error;
  std::uint64_t bytes = fs::file_size(file, error);
  for (const std::string& companion : companions) {
    bytes += fs::file_size(file.parent_path() / companion, error);
  }
  if (input.exists && input.exists(guess.function.name)) return {};
  const std::uint64_t memory = ModelMemory(bytes);
  guess.function.configuration["MemorySize"] = memory;
  guess.guessed.push_back(fmt::format("memory {} MB (--memory says another)", memory));
  return {};
}

Result<Guess> GuessModel(const GuessInput& input) {
  if (!input.runtime.empty() && input.runtime != kModelRuntime) {
    return Fail(Code::kInvalid, fmt::format("{} is a model: its runtime is onnx, not {}",
                                            input.folder, input.runtime));
  }
  if (!input.handler.empty()) {
    return Fail(Code::kInvalid, fmt::format("{} is a model: it has no handler", input.folder));
  }
  const fs::path file(input.folder);
  Guess guess;
  FunctionPlan& function = guess.function;
  function.name = input.name.empty() ? NameFrom(file.stem()) : input.name;
  if (input.name.empty()) guess.guessed.push_back("name " + function.name + " (the file's)");
  function.logical_id = function.name;
  function.code.path = file.filename();
  function.partial = true;
  function.configuration["Runtime"] = kModelRuntime;
  function.configuration["Handler"] = file.filename().string();
  function.configuration["Role"] = "arn:aws:iam::" + input.account_id + ":role/samovar";
  TRY(const auto companions, ModelCompanions(input.folder));
  for (const std::string& companion : companions) {
    guess.guessed.push_back(fmt::format("that {} goes with it", companion));
  }
  TRY(GuessMemory(input, input.folder, guess));
  return guess;
}

}  // namespace samovar
