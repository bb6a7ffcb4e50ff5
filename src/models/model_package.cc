#include "models/model_package.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/batch_probe.h"
#include "models/forest_check.h"
#include "models/model_file.h"

namespace samovar {
namespace {

constexpr std::uintmax_t kLargestSettings = 1 << 20;

Result<std::string> ReadSettingsFile(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::string();
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > kLargestSettings) {
    return Fail(Code::kInvalid, "samovar.yaml: cannot be read, or is larger than 1 MiB",
                "Model.InvalidSettings");
  }
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<void> ReadDefaults(ModelPackage& package) {
  for (const auto& [name, json] : package.settings.defaults) {
    auto read = [&]() -> Result<void> {
      TRY(const std::size_t index, package.signature.InputNamed(name));
      TRY(package.signature.defaults[index],
          package.codec->DecodeDefault(package.signature.inputs[index], json));
      return {};
    };
    if (auto done = read(); !done) {
      return Fail(Code::kInvalid,
                  fmt::format("samovar.yaml: inputs.{}.default: {}", name, done.error().message),
                  "Model.InvalidSettings");
    }
  }
  return {};
}

// Trees are walked by Forest where that gives the same answers.
void ChooseTrees(ModelPackage& package, const std::string& path) {
  const ModelSettings& settings = package.settings;
  const auto stay = [&](const std::string& why) { package.trees = "ONNX Runtime (" + why + ")"; };
  if (!settings.forests) return stay("samovar.yaml says so");
  // More threads add the leaves in another order.
  if (settings.threads > 1) return stay("it has several threads");
  if (!settings.providers.empty()) return stay("it has execution providers of its own");
  auto model = OnnxModel::LoadForests(path, {});
  if (!model) return stay(model.error().message);
  const ForestVerdict verdict = CheckForests(*package.model, **model, package.signature);
  if (!verdict.same) return stay(verdict.reason);
  package.model = std::move(*model);
  package.trees = "Samovar";
}

Result<std::vector<ModelCall>> WarmUp(ModelPackage& package) {
  std::vector<ModelCall> calls;
  std::size_t number = 0;
  for (const std::string& event : package.settings.warm_up) {
    ++number;
    auto run = [&]() -> Result<void> {
      TRY(calls.emplace_back(), package.codec->Decode("", "", event));
      TRY(package.model->Run(calls.back().inputs, calls.back().outputs));
      return {};
    };
    if (auto done = run(); !done) {
      return Fail(
          Code::kInvalid,
          fmt::format("samovar.yaml: event {} of warm_up: {}", number, done.error().message),
          "Model.WarmUpFailed");
    }
  }
  return calls;
}

void ChooseBatching(ModelPackage& package, std::vector<ModelCall> warm_up) {
  using Mode = ModelSettings::Batching;
  const ModelSettings& settings = package.settings;
  BatchingVerdict verdict{settings.batching != Mode::kOff, "samovar.yaml says so"};
  if (settings.max_batch == 1) verdict = {false, "batches are of one row"};
  if (verdict.same && !CanBatch(*package.model)) {
    verdict = {false, "the model has no first dimension that may be any"};
  }
  if (verdict.same && settings.batching == Mode::kAuto) {
    std::erase_if(warm_up, [](const ModelCall& call) { return RowsOf(call) != 1; });
    verdict = ProbeBatching(*package.model, package.signature, settings.max_batch, warm_up);
  }
  package.batching = verdict.same ? "on" : "off: " + verdict.reason;
  package.batcher =
      std::make_unique<Batcher>(*package.model, verdict.same ? settings.max_batch : 1);
}

}  // namespace

Result<std::unique_ptr<ModelPackage>> OpenModelPackage(const PackageOptions& options) {
  auto package = std::make_unique<ModelPackage>();
  TRY(const std::string text, ReadSettingsFile(options.folder + "/samovar.yaml"));
  TRY(package->settings, ReadModelSettings(text));
  const std::string path = options.folder + "/" + options.file;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return Fail(Code::kInvalid, fmt::format("the package has no {}", options.file),
                "Model.LoadFailed");
  }
  TRY(package->random, CheckModelFile(path, options.folder));
  TRY(package->model, OnnxModel::Load(path, {.threads = package->settings.threads,
                                             .providers = package->settings.providers}));
  package->signature = {.name = options.name,
                        .version = options.version,
                        .inputs = package->model->Inputs(),
                        .outputs = package->model->Outputs(),
                        .defaults = {}};
  package->codec = std::make_unique<ModelCodec>(package->signature);
  TRY(ReadDefaults(*package));
  ChooseTrees(*package, path);
  TRY(auto calls, WarmUp(*package));
  ChooseBatching(*package, std::move(calls));
  // What loading took and gave back would stay with the process, and with each clone's template.
  ::malloc_trim(0);
  return package;
}

}  // namespace samovar
